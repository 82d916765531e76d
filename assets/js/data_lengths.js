// How long rows are for the chosen model, which are too long and what can be done, and how answers are spread.

import { state } from "./store.js";
import { html } from "./html.js";
import { count, percent } from "./format.js";
import { histogram } from "./data_histogram.js";
import { mark } from "./data_fields.js";
import { ERROR, HISTOGRAMS, WARNING } from "./data_words.js";

const FEW = 5;
const COMMON = 8;

// The histograms that are known: of tokens, of the model; of sides and answers, of the check.
export function spread({ histograms, limit, measured, of }, report) {
  if (!measured) return "";
  const { whole, image, text } = histograms;
  const charts = [["whole", whole, limit], ["image", image], ["words", text], ["sides", report?.sides], ["lengths", report?.lengths]];
  return html`<div class="histograms">${charts.map(([name, data, line]) => data && histogram(data, HISTOGRAMS[name], line))}</div>
    ${measured < of && html`<p class="small soft">Tokens were measured on ${count(measured)} of ${count(of)} rows, drawn at random.</p>`}`;
}

const SMALLEST = 64; // pixels; below it pictures lose more than they save

// Smaller pictures help only where the tokens of pictures are what is too much, and where the model does not scale them itself.
const areTheCause = ({ histograms, longest, limit }) => longest - (histograms.image?.edges.at(-1) ?? 0) < limit;

const half = (report) => Math.round((state.draft.reading.max_side ?? report.sides?.edges.at(-1) ?? 0) / 2);

// The three remedies; those that change the data are there while these are not stored yet.
function remedies(lengths, report) {
  const { too_long: rows, longest } = lengths;
  const own = state.form.max_tokens;
  if (!report) return html`<p class="small">${own ? "Take a longer limit in Train, or open" : "Open"} these data again under “Brought before”, leave the rows out there, and use them anew.</p>`;
  return html`<div class="chips">${own && html`<button data-longer="${own < longest ? "" : longest}" data-key="longer">Take the model’s own limit</button>`}
    ${areTheCause(lengths) && half(report) >= SMALLEST && html`<button data-smaller="${half(report)}" data-key="smaller">Make pictures ${count(half(report))} pixels at most</button>`}
    <button data-out data-key="too-long-out">Leave ${rows.length === 1 ? "this row" : `these ${rows.length} rows`} out</button></div>`;
}

// Each reason once, in the sentence of its first row.
const whyNot = (reasons) => (reasons.length === 1 ? reasons[0].reason : html`<ul class="places">${reasons.map(({ reason, rows }) => html`<li>${reason}${rows > 1 && html` <span class="soft num">${count(rows)} rows</span>`}</li>`)}</ul>`);

export function tooLong(lengths, report) {
  const { over, unusable, reasons, limit, limit_reason: why, too_long: rows, longest, measured, of, notes = [] } = lengths;
  if (!measured) return "";
  const far = notes.map((note) => html`<div class="note">${mark("warning", WARNING)} ${note}</div>`);
  const bad = html`${far}${unusable > 0 && html`<div class="note"><b>${mark("warning", WARNING)} The model cannot learn from ${count(unusable)} of the ${count(measured)} rows that were measured</b>${whyNot(reasons)}</div>`}`;
  if (!over) return html`${bad}<p class="small fine-line">${limit ? html`${mark("fine", ["✓", measured < of ? "Every row that was measured fits" : "Every row fits"])} <span class="soft">the longest has ${count(longest)} of ${count(limit)} tokens (${why})</span>` : html`<span class="soft">The longest row has ${count(longest)} tokens; this model names no limit.</span>`}</p>`;
  return html`${bad}<div class="note bad"><b>${mark("error", ERROR)} ${over === 1 ? "1 row is" : `${count(over)} rows are`} longer than the ${count(limit)} tokens that are taken</b>The limit: ${why}. A job refuses such rows; nothing is ever cut.
    <ul class="places">${rows.slice(0, FEW).map(({ called, tokens }) => html`<li>${called}: <span class="num">${count(tokens)} tokens</span></li>`)}</ul>${rows.length > FEW && html`<p class="small">and ${count(over - FEW)} more</p>`}${remedies(lengths, report)}</div>`;
}

export function answers({ answers: common, majority, train, heldout }) {
  if (!common.length) return "";
  const most = common[0][1];
  if (most < 2) return html`<p class="small soft">No answer is given twice.</p>`;
  return html`<div class="common"><div class="cap"><strong>Most common answers</strong><span class="num">always giving the same answer scores ${percent(majority)} on the held-out ${heldout === 1 ? "row" : "rows"}</span></div>
    <table><caption class="visually-hidden">Most common answers</caption><tbody>${common.slice(0, COMMON).map(([text, n]) => html`<tr><th scope="row"><span class="clamp-1">${text || "(nothing)"}</span></th><td class="bar-cell" aria-hidden="true"><i style="width:${(100 * n) / most}%"></i></td><td class="num">${count(n)}</td><td class="num soft">${percent(n / Math.max(1, train + heldout))}</td></tr>`)}</tbody></table></div>`;
}
