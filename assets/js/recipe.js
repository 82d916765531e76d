// How the choice is adapted: rank, alpha and the method.

import { state, subscribe, update } from "./store.js";
import { draw, html } from "./html.js";
import { cook, current } from "./choice.js";
import { METHODS, rankHelp } from "./words.js";
import { figure } from "./format.js";
import { readKnob } from "./knobs.js";
import { refusalsAt } from "./advice.js";

const RANKS = [4, 8, 16, 32, 64];

const scale = ({ alpha, rank, method }) => (method === "rslora" ? `alpha ÷ √rank = ${Number(figure(alpha / Math.sqrt(rank)))}×` : `alpha ÷ rank = ${Number(figure(alpha / rank))}×`);

function knobs() {
  const { rank, alpha, method } = state.recipe;
  return html`<div class="knobs">
    <div class="knob"><label for="rank">Rank</label><div class="row"><input id="rank" data-key="rank" type="number" min="1" max="4096" step="1" value="${rank}">
      ${RANKS.map((each) => html`<button data-rank="${each}" data-key="rank-${each}" aria-pressed="${String(each === rank)}" aria-label="Rank ${each}">${each}</button>`)}</div>
      <small>${rankHelp(method)}</small></div>
    <div class="knob"><label for="alpha">Alpha</label><div class="row"><input id="alpha" data-key="alpha" type="number" min="0.001" step="any" value="${alpha}"></div>
      <small>How strongly it is applied: ${scale(state.recipe)}. Twice the rank is common.</small></div>
    <fieldset class="knob method"><legend>Method</legend><div class="segments">${METHODS.map(([name, title]) => html`
      <label><input type="radio" name="method" value="${name}" data-key="method-${name}" ${name === method ? html`checked` : ""}>${title}</label>`)}</div>
      <small>${METHODS.find(([name]) => name === method)[2]}</small></fieldset></div>
    ${state.knobError && html`<div class="note bad" role="alert" style="margin-top:12px">${state.knobError}</div>`}
    ${refusalsAt("method")}`;
}

function onChange({ target }) {
  if (target.name === "method") return cook({ method: target.value });
  if (target.id !== "rank" && target.id !== "alpha") return undefined;
  const { value, refused } = readKnob(target.id, target.value);
  if (!refused) return cook({ [target.id]: value });
  target.value = state.recipe[target.id];
  return update({ knobError: refused });
}

export function mountRecipe(element) {
  element.addEventListener("click", (event) => {
    const { rank } = event.target.closest("[data-rank]")?.dataset ?? {};
    if (rank) cook({ rank: Number(rank) });
  });
  element.addEventListener("change", onChange);
  subscribe(() => state.step === "targets" && current() && draw(element, knobs()), "model", "recipe", "knobError", "step", "advice");
}
