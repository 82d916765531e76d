// What the server says of the choice: what cannot be together, beside the control that makes it so, and what is worth
// another thought, beside the budget. It is asked a moment after the last change, and never waited for.

import { state, subscribe, update } from "./store.js";
import { draw, html } from "./html.js";
import { postJson } from "./api.js";
import { choiceForServer, current, propose, undo } from "./choice.js";
import { setForm } from "./form.js";
import { isRunning } from "./run.js";
import { FIXES, NEXT_RUN } from "./words.js";

const PATIENCE = 250; // milliseconds after the last change

let asking = null;
let timer = null;
let asked = null;
let answered = null; // of what the answer at hand is

const question = () => ({ ...choiceForServer(), form: state.form, task: state.task?.name });

async function ask() {
  const budget = current()?.budget;
  if (!budget || !state.home) return;
  if (!budget.trainable) return void update({ advice: null });
  const text = JSON.stringify(question());
  if (text === asked && state.advice) return;
  asked = text;
  asking?.abort();
  asking = new AbortController();
  try {
    const advice = await postJson("advice", JSON.parse(text), asking.signal);
    answered = text;
    update({ advice });
  } catch (error) {
    if (error.name !== "AbortError") update({ advice: error.status ? { refused: [], advice: [], error: error.message } : null });
  }
}

// The refusals that belong beside these controls.
export function refusalsAt(...controls) {
  const found = (state.advice?.refused ?? []).filter((each) => controls.includes(each.control));
  return found.map((each) => html`<div class="note bad refusal" role="alert">${each.sentence} ${fixButton(each, "fix")}</div>`);
}

const fixButton = (each, key) => each.change && html`<button data-fix="${each.control}" data-key="${key}-${each.control}">${FIXES[each.control]}</button>`;

// The first refusal, for beside Start, which it blocks.
export const refusalAtStart = () => refused() && html`<div class="note bad" role="alert"><b>This cannot be trained</b>${refused()} ${fixButton(state.advice.refused[0], "start-fix")}</div>`;

// Whether the answer at hand is about the choice as it is.
export const isOfNow = () => answered !== null && answered === JSON.stringify(question());

export const refused = () => state.advice?.refused?.[0]?.sentence ?? null;

// A click on what the page proposes, wherever it stands: the change is made, and can be taken back. A newer answer may
// have come since it was drawn, so it is told by its name.
document.addEventListener("click", (event) => {
  const { fix, advice: key } = event.target.closest?.("[data-fix],[data-advice]")?.dataset ?? {};
  const refusal = fix && state.advice?.refused?.find(({ control, change }) => control === fix && change);
  const counsel = key && state.advice?.advice?.find((each) => each.key === key);
  if (refusal) take(FIXES[fix], refusal.change);
  if (counsel) take(`the remedy for “${counsel.title}”`, counsel.change);
});

export function take(title, { selection, recipe, form }, more = {}) {
  const before = state.form;
  propose(title, { selection: { ...state.selection, ...selection }, recipe: { ...state.recipe, ...recipe }, ...more });
  if (form) {
    state.undo.form = Object.fromEntries(Object.keys(form).map((name) => [name, before[name]]));
    setForm(form);
  }
}

const sentence = (text) => (/[.?!]$/.test(text) ? text : `${text}.`);

function item(each, i) {
  const [icon, word] = each.severity === "warning" ? ["!", "warning"] : ["i", "note"];
  return html`<details class="advice ${each.severity === "warning" && "warning"}" ${i === 0 ? html`open` : ""}><summary data-key="advice-${each.key}"><i aria-hidden="true">${icon}</i><span><span class="visually-hidden">${word}: </span>${each.title}</span></summary>
    <p>${sentence(each.reason)}</p><p>${sentence(each.remedy)}</p>${each.change && html`<button data-advice="${each.key}" data-key="take-${each.key}" aria-label="Do it: ${each.title}">Do it</button>`}</details>`;
}

function card() {
  const { advice, error } = state.advice ?? {};
  const bar = state.undo && html`<p class="undo" role="status"><span>Done: ${state.undo.title}</span><button data-undo data-key="undo">Undo</button></p>`;
  const some = state.step !== "model" && state.step !== "result" && advice?.length > 0;
  if (!bar && !some && !error) return "";
  return html`<section class="card advices" aria-label="Advice">${bar}${error && html`<p class="small soft">${error}</p>`}${some && html`<div class="cap"><strong>Worth a thought${isRunning() && " for the next run"}</strong></div>${isRunning() && html`<p class="small soft">${NEXT_RUN}</p>`}${advice.map(item)}`}</section>`;
}

export function mountAdvice(element) {
  element.addEventListener("click", (event) => event.target.closest("[data-undo]") && undo());
  subscribe(() => draw(element, card()), "advice", "undo", "step", "run");
  subscribe(() => {
    clearTimeout(timer);
    timer = setTimeout(ask, PATIENCE);
  }, "model", "selection", "recipe", "form", "dataset", "task", "home");
}
