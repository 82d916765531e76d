// What was measured on the held-out rows, before and after: the main metric first, with what guessing would score.

import { html } from "./html.js";
import { inMetric } from "./plot_charts.js";
import { METRIC_HELP, METRIC_NAME, isError } from "./words.js";
import { percent } from "./format.js";

const known = (value) => value !== null && value !== undefined;

function namesOf({ before, after }) {
  const found = new Set([after.metric, ...Object.keys(after.metrics ?? {}), ...Object.keys(before?.metrics ?? {})].filter(Boolean));
  found.delete("majority");
  return [...found];
}

// Of the main metric: where it lies if other rows of this kind had been held out.
const within = (name, score) => name === score?.metric && score.interval && html`<small title="95% interval over the rows">${inMetric(name, score.interval[0])} to ${inMetric(name, score.interval[1])}</small>`;

// Better or worse, in words.
function change(name, before, after) {
  if (!known(before) || !known(after)) return "";
  if (before === after) return html`<span class="soft">the same</span>`;
  const better = isError(name) ? after < before : after > before;
  return better ? html`<span class="ok">▲ better</span>` : html`<span class="odd">▼ worse</span>`;
}

function row(name, status) {
  const [before, after] = [status.before?.metrics?.[name], status.after.metrics?.[name]];
  const guess = ["exact_match", "accuracy"].includes(name) ? (status.majority ?? status.after.metrics?.majority) : null;
  return html`<tr><th scope="row">${METRIC_NAME[name] ?? name}${name === status.after.metric && html` <span class="badge-main">main</span>`}<small>${METRIC_HELP[name] ?? ""}</small></th>
    <td>${inMetric(name, before)}${within(name, status.before)}</td><td><b>${inMetric(name, after)}</b>${within(name, status.after)}</td><td class="opt">${known(guess) ? percent(guess) : "–"}</td><td>${change(name, before, after)}</td></tr>`;
}

export function scoresTable({ status }) {
  const names = status.after ? namesOf(status) : [];
  if (!names.length) return "";
  return html`<table class="jobs-list scores num"><caption class="visually-hidden">Metrics on the held-out rows</caption><thead><tr><th scope="col">measured</th><th scope="col">before</th><th scope="col">after</th><th scope="col" class="opt">guessing</th><th scope="col"></th></tr></thead><tbody>${names.map((name) => row(name, status))}</tbody></table>`;
}
