// The usual choices of what learns, side by side on the model in hand: counted in the browser, memory on request.

import { NOTHING_SELECTED, state, subscribe } from "./store.js";
import { draw, html } from "./html.js";
import { activePreset, applyPreset, current } from "./choice.js";
import { budget } from "./count.js";
import { askAll, knownMemory, verdict } from "./memory.js";
import { bytes, count, gib, percent } from "./format.js";

let counted = { model: null, recipe: null, rows: [] };

// Counted once a model and recipe, and only while somebody looks.
function rows() {
  const { model, recipe } = state;
  if (counted.model !== model || counted.recipe !== recipe) {
    const found = model.presets.filter((preset) => preset.cells.length).map((preset) => {
      const selection = { ...NOTHING_SELECTED, relabels: state.selection.relabels, cells: preset.cells.filter((cell) => model.cells.has(cell)) };
      return { preset, selection, cost: budget(model, selection, recipe) };
    });
    counted = { model, recipe, rows: found };
  }
  return counted.rows;
}

function memoryOf(selection) {
  const found = knownMemory(selection, state.recipe);
  if (!found) return html`<span class="soft">–</span>`;
  return found.unknown ? html`<span class="soft" title="${found.unknown}">not known</span>` : html`${gib(found.peak)} ${verdict(found)}`;
}

function row({ preset, selection, cost }, active) {
  return html`<tr class="${preset === active && "on"}"><th scope="row"><button class="plain" data-take="${preset.name}" data-key="take-${preset.name}" aria-pressed="${String(preset === active)}" title="${preset.why}">${preset.title}</button></th>
    <td>${count(cost.trainable)}</td><td>${percent(cost.share, 2)}</td><td>${bytes(cost.bytes)}</td><td class="mem">${memoryOf(selection)}</td></tr>`;
}

function table() {
  const active = activePreset();
  const all = rows();
  const missing = all.some(({ selection }) => !knownMemory(selection, state.recipe));
  return html`<div class="scroll"><table class="compare"><thead><tr><th scope="col">what learns</th><th scope="col">parameters</th><th scope="col">share</th><th scope="col">adapter</th><th scope="col">memory</th></tr></thead>
    <tbody>${all.map((each) => row(each, active))}</tbody></table></div>
    <p class="small soft compare-foot"><span>With rank ${state.recipe.rank} and the method in hand. Press a row to take it.</span>${missing && html`<button data-memories data-key="memories">Work out the memory of each</button>`}</p>`;
}

export function mountCompare(element) {
  element.innerHTML = '<section class="card" aria-label="Compare choices"><details class="fold" id="compare-fold"><summary><b>Compare choices</b> <span class="soft">what each would cost on this model</span></summary><div class="inside"></div></details></section>';
  const [fold, inside] = [element.querySelector("details"), element.querySelector(".inside")];
  const show = () => fold.open && state.step === "targets" && current() && draw(inside, table());
  fold.addEventListener("toggle", show);
  element.addEventListener("click", (event) => {
    const name = event.target.closest("[data-take]")?.dataset.take;
    if (name) applyPreset(state.model.presets.find((preset) => preset.name === name));
    if (event.target.closest("[data-memories]")) askAll(rows().map(({ selection }) => [selection, state.recipe]));
  });
  subscribe(show, "model", "selection", "recipe", "form", "memory", "memoryKnown", "step");
}
