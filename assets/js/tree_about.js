// What stands below a row of the tree that was asked about: why it is labelled so, how sure that is, and what the person
// can do about it: call it something else, or train it in full.

import { state } from "./store.js";
import { html } from "./html.js";
import { isFull, relabel, trainInFull } from "./choice.js";
import { componentOptions } from "./guesses.js";
import { CONFIDENCE } from "./words.js";

const ORDER = ["low", "medium", "high"];
const REASONS = 4;

export const leastSure = (modules) => ORDER.find((level) => modules.some((module) => module.confidence === level)) ?? "high";

function reasons(modules) {
  const found = new Map();
  for (const { reason } of modules) found.set(reason, (found.get(reason) ?? 0) + 1);
  const lines = [...found].slice(0, REASONS).map(([line, n]) => html`<li>${modules.length > 1 ? `${n} × ` : ""}${line}</li>`);
  return html`<ul>${lines}${found.size > REASONS && html`<li>and ${found.size - REASONS} more reasons, on the rows below</li>`}</ul>`;
}

// The full names that a row stands for: its own, or one for each of the layers that are folded into it.
const namesOf = (node) => node.paths.map((path) => path.replace(/^\./, ""));

function fullness(node, names) {
  const { full } = state.selection;
  const parameters = node.modules.some((module) => module.parameters.length);
  if (!parameters) return "";
  if (names.every((name) => full.includes(name))) return html`<button data-full="no" data-key="about-full">No longer in full</button>`;
  if (node.modules.every(isFull)) return html`<span class="small soft">trained in full with ${full.filter((name) => names.some((each) => each.startsWith(`${name}.`))).join(", ") || node.component}</span>`;
  return html`<button data-full="yes" data-key="about-full" title="Every parameter in it is trained, without LoRA">Train in full</button>`;
}

export function about(node, shown) {
  const names = namesOf(node);
  const sure = leastSure(shown);
  const [icon, words] = CONFIDENCE[sure];
  const own = names.some((name) => name in state.selection.relabels);
  return html`<p class="mono path">${names.length > 1 ? `${names[0]} … ${names.at(-1)}` : names[0]}</p>
    <p class="sure ${sure}"><span aria-hidden="true">${icon}</span> ${words}</p>${reasons(shown)}
    <p class="tree-do" data-names="${JSON.stringify(names)}"><label>This is <select data-relabel data-key="about-relabel" aria-label="Component of ${names[0]}">${componentOptions(node.component)}</select></label>
    ${own && html`<button data-put-back data-key="about-back">Put the label back</button>`}${fullness(node, names)}</p>`;
}

export function onAbout(event) {
  const box = event.target.closest("[data-names]");
  if (!box) return;
  const names = JSON.parse(box.dataset.names);
  if (event.type === "change" && "relabel" in event.target.dataset) relabel(names, event.target.value);
  if (event.type === "click" && event.target.closest("[data-put-back]")) relabel(names, null);
  const full = event.type === "click" && event.target.closest("[data-full]")?.dataset.full;
  if (full) trainInFull(names, full === "yes");
}
