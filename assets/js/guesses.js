// Parts whose labels are guesses, or where the kinds of evidence disagree: named, with a way to put them right.

import { state, subscribe } from "./store.js";
import { draw, html } from "./html.js";
import { current, relabel } from "./choice.js";
import { guesses } from "./model.js";
import { COMPONENT_SHORT, COMPONENTS, GUESS_HEAD, GUESS_LEAD } from "./words.js";
import { count, short } from "./format.js";

const SHOWN = 4;

export const componentOptions = (chosen) => COMPONENTS.map((name) => html`<option value="${name}" ${name === chosen ? html`selected` : ""}>${COMPONENT_SHORT[name]}</option>`);

function row({ root, component, modules }, place) {
  const params = modules.reduce((n, module) => n + module.params, 0);
  return html`<li><span><b class="mono">${root}</b> <span class="soft">${modules.length === 1 ? "1 module" : `${count(modules.length)} modules`}, ${short(params)}: ${modules[0].reason.split(". ")[0]}</span></span>
    <span class="fix"><label>It is <select data-guess="${root}" data-key="guess-${place}-${root}" aria-label="What ${root} is">${componentOptions(component)}</select></label>
    <button data-agree="${root}" data-as="${component}" data-key="agree-${place}-${root}">That is right</button></span></li>`;
}

export function mountGuesses(element, place) {
  element.addEventListener("change", (event) => event.target.dataset.guess && relabel([event.target.dataset.guess], event.target.value));
  element.addEventListener("click", (event) => {
    const { agree, as } = event.target.closest("[data-agree]")?.dataset ?? {};
    if (agree) relabel([agree], as);
  });
  subscribe(() => {
    if (state.step !== place || !current() || state.modelError) return undefined;
    const found = guesses(state.model).filter(({ modules }) => modules.some((module) => module.adaptable));
    if (!found.length) return draw(element, "");
    return draw(element, html`<section class="note guesses" aria-label="${GUESS_HEAD}"><b>⚠ ${GUESS_HEAD}</b><p>${GUESS_LEAD}</p>
      <ul>${found.slice(0, SHOWN).map((each) => row(each, place))}</ul>${found.length > SHOWN && html`<p class="small soft">and ${found.length - SHOWN} more, marked in the tree</p>`}</section>`);
  }, "model", "selection", "modelError", "step");
}
