// How much of the gradient arrives at each layer, at the step that is looked at: the newest, or an earlier one by the slider.

import { state, subscribe } from "./store.js";
import { draw, drawNow, html } from "./html.js";
import { SCALE, bounds, heat, mountHeat, strength } from "./heat.js";
import { COMPONENTS, COMPONENT_NAME, COMPONENT_SHORT, ROLE_NAME } from "./words.js";
import { count, figure } from "./format.js";
import { when } from "./when.js";

const FAINT = 1000; // times less than the strongest: hardly anything arrives

const places = new WeakMap(); // the run's list of layers -> its rows, with the place of each cell in a point's numbers

const cellName = (layer, role) => (layer === null || layer === undefined ? (ROLE_NAME[role] ?? "outside of the layers").toLowerCase() : `layer ${layer}`);

// One row a component.
function rowsOf(layers) {
  if (places.has(layers)) return places.get(layers);
  const rows = new Map(COMPONENTS.map((name) => [name, { key: name, name: COMPONENT_NAME[name], label: COMPONENT_SHORT[name], component: name, cells: [] }]));
  layers.forEach(({ component, layer, role }, place) => rows.get(component).cells.push({ key: String(layer ?? role ?? place), layer, place, name: cellName(layer, role) }));
  const some = [...rows.values()].filter((row) => row.cells.length);
  places.set(layers, some);
  return some;
}

function filled(run, point) {
  const within = bounds(point.norms);
  return rowsOf(run.layers).map((row) => ({ ...row, cells: row.cells.map((each) => {
    const value = point.norms[each.place];
    const none = value === 0 ? "no gradient" : "no number";
    return { ...each, value, strength: strength(value, within), told: value > 0 ? figure(value) : none, kind: value > 0 ? "" : "nothing" };
  }) }));
}

function inWords(rows) {
  const cells = rows.flatMap((row) => row.cells.map((each) => ({ ...each, row: row.label }))).filter(({ value }) => value > 0);
  if (!cells.length) return "No gradient arrives anywhere.";
  const strongest = cells.reduce((a, b) => (b.value > a.value ? b : a));
  const weakest = cells.reduce((a, b) => (b.value < a.value ? b : a));
  if (strongest === weakest) return `The gradient of ${strongest.row}, ${strongest.name} has the norm ${figure(strongest.value)}.`;
  const times = strongest.value / weakest.value;
  const faint = times > FAINT ? ` Hardly anything arrives at ${weakest.row}, ${weakest.name}.` : "";
  return `Strongest at ${strongest.row}, ${strongest.name} (${figure(strongest.value)}), weakest at ${weakest.row}, ${weakest.name} (${figure(weakest.value)}): ${times < 10 ? times.toFixed(1) : count(Math.round(times))} times less.${faint}`;
}

function body(run, point) {
  const rows = filled(run, point);
  return html`<p class="small">${inWords(rows)}</p>${heat("flow", `Norm of the gradient by layer at step ${point.step}; fuller is stronger`, rows)}`;
}

const at = when("flow", (run) => run.flows, body);

function show(element) {
  const run = state.run;
  const shown = state.step === "train" && run?.layers.length > 0 && run.flows.length > 0;
  element.classList.toggle("off-stage", !shown);
  if (!shown) return;
  draw(element.querySelector(".at"), at.slider(run));
  draw(element.querySelector(".body"), body(run, at.point(run)));
}

export function mountFlow(element) {
  element.innerHTML = "";
  drawNow(element, html`<div class="card"><div class="cap"><strong>Where the gradient arrives</strong><span class="plot-tools"><span class="at"></span>${SCALE}</span></div><div class="body"></div></div>`);
  mountHeat(element);
  at.listen(element);
  subscribe(() => show(element), "run", "step");
}
