// A strip of layers as a map: one row a component or a kind of module, one cell a layer, its strength the logarithm of a
// number. Each number is told under the pointer and to the keyboard: arrows walk the cells, and a reader hears each.

import { html } from "./html.js";
import { COMPONENT_SHORT } from "./words.js";

const FLOOR = 0.07; // of the colour, so that the least is still seen to be there
const MOST_NUMBERS = 24; // of layers in a heading
const HINT = "Point at a cell for its number, or walk the cells with the arrow keys.";
const DECADE = 10; // at least so much lies between the palest and the fullest

const above = (value) => Number.isFinite(value) && value > 0;

// [lowest, highest] of the numbers above nothing.
export function bounds(values) {
  let [low, high] = [Infinity, 0];
  for (const value of values) {
    if (!above(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return high ? [Math.min(low, high / DECADE), high] : [1, DECADE];
}

// 0 to 1, by the logarithm.
export function strength(value, [low, high]) {
  if (!above(value)) return 0;
  const share = (Math.log(value) - Math.log(low)) / (Math.log(high) - Math.log(low));
  return FLOOR + (1 - FLOOR) * Math.min(1, Math.max(0, share));
}

const here = new Map(); // map -> key of the cell that the keyboard is at

function cell(id, row, each, first) {
  const key = `${id}-${row.key}-${each.key}`;
  const at = here.get(id) === key || (first && !here.has(id));
  return html`<span role="gridcell" class="${each.kind ?? ""}" style="--v:${each.strength.toFixed(3)};grid-column:${each.at}" data-key="${key}" tabindex="${at ? 0 : -1}" aria-label="${row.name}, ${each.name}: ${each.told}">${each.shown ?? ""}</span>`;
}

const hasLayer = ({ layer }) => layer !== null && layer !== undefined;

// The rows with the column of each cell, and the numbers of the columns: one for each layer that these rows have; what
// stands outside of layers comes after them, or first in a row that has none.
function placed(rows) {
  const layers = [...new Set(rows.flatMap((row) => row.cells.filter(hasLayer).map(({ layer }) => layer)))].sort((a, b) => a - b);
  const set = rows.map((row) => {
    let after = row.cells.some(hasLayer) ? layers.length : 0;
    const cells = row.cells.map((each) => ({ ...each, at: hasLayer(each) ? layers.indexOf(each.layer) + 1 : (after += 1) }));
    return { ...row, cells: cells.sort((a, b) => a.at - b.at) };
  });
  return { rows: set, layers, columns: Math.max(layers.length, ...set.flatMap((row) => row.cells.map(({ at }) => at))) };
}

// The numbers of the layers, as many as there is room for.
function heading(title, component, { layers, columns }) {
  const every = Math.ceil(layers.length / MOST_NUMBERS);
  return html`<div role="row" class="layers" data-component="${component}"><span role="rowheader">${title}</span><span role="presentation" class="cells" style="--cells:${columns}">${layers.map((layer, i) => i % every === 0 && html`<span role="columnheader" style="grid-column:${i + 1} / span ${Math.min(every, layers.length - i)}">${layer}</span>`)}</span></div>`;
}

const line = (id, row, columns, first) => html`<div role="row" data-component="${row.component}"><span role="rowheader" title="${row.name}">${row.label ?? row.name}</span><span role="presentation" class="cells" style="--cells:${columns}">${row.cells.map((each, i) => cell(id, row, each, first && !i))}</span></div>`;

// Of each component the rows below its name, with the numbers of its layers.
function groups(id, rows) {
  const names = [...new Set(rows.map((row) => row.component))];
  return names.map((component, i) => {
    const own = placed(rows.filter((row) => row.component === component));
    return html`${heading(COMPONENT_SHORT[component], component, own)}${own.rows.map((row, j) => line(id, row, own.columns, !i && !j))}`;
  });
}

// rows: [{ key, name, label, component, cells: [{ key, name, layer, strength, told, shown?, kind? }] }]; `told` is read out.
// With `grouped` each component has a heading of its own; with `numbers` what is `shown` stands in the cells.
export function heat(id, label, rows, { numbers = false, grouped = false } = {}) {
  const all = placed(rows);
  const body = grouped ? groups(id, rows) : html`${heading("layer", "", all)}${all.rows.map((row, i) => line(id, row, all.columns, !i))}`;
  return html`<div class="heat-box"><div class="heat ${numbers && "numbers"}" role="grid" aria-label="${label}" data-heat="${id}">${body}</div></div>
    <p class="heat-told small soft" data-told="${id}" aria-hidden="true">${HINT}</p>`;
}

export const SCALE = html`<span class="heat-scale small soft" aria-hidden="true">least <i></i> most</span>`;

function tell(element, target) {
  const told = element.querySelector(`[data-told="${target.closest("[data-heat]").dataset.heat}"]`);
  told.textContent = target.getAttribute("aria-label");
}

function onKey(element, event) {
  const at = event.target.closest("[role=gridcell]");
  if (!at) return;
  const rows = [...at.closest("[data-heat]").querySelectorAll("[role=row]")].map((row) => [...row.querySelectorAll("[role=gridcell]")]).filter((row) => row.length);
  const y = rows.findIndex((row) => row.includes(at));
  const x = rows[y].indexOf(at);
  const places = { ArrowLeft: [x - 1, y], ArrowRight: [x + 1, y], ArrowUp: [x, y - 1], ArrowDown: [x, y + 1], Home: [0, y], End: [rows[y].length - 1, y], PageUp: [x, 0], PageDown: [x, rows.length - 1] };
  if (!(event.key in places)) return;
  event.preventDefault();
  const [toX, toY] = places[event.key];
  const row = rows[toY] ?? rows[y];
  row[Math.max(0, Math.min(toX, row.length - 1))]?.focus();
}

function onFocus(element, target) {
  const at = target.closest?.("[role=gridcell]");
  if (!at) return;
  const map = at.closest("[data-heat]");
  map.querySelector("[tabindex='0']")?.setAttribute("tabindex", -1);
  at.setAttribute("tabindex", 0);
  here.set(map.dataset.heat, at.dataset.key);
  tell(element, at);
}

// Once for an element in which maps are drawn.
export function mountHeat(element) {
  element.addEventListener("focusin", ({ target }) => onFocus(element, target));
  element.addEventListener("keydown", (event) => onKey(element, event));
  element.addEventListener("pointerover", ({ target }) => target.closest("[role=gridcell]") && tell(element, target.closest("[role=gridcell]")));
  element.addEventListener("click", ({ target }) => target.closest("[role=gridcell]")?.focus());
}
