// What the person chose, and every way to change it. All of it is the two values that the server reads at Start.

import { NOTHING_SELECTED, state, update } from "./store.js";
import { budget, FROZEN, FULL, outcome } from "./count.js";
import { setForm } from "./form.js";
import { guesses, labelled, partOf } from "./model.js";

let cached = { model: null };

// How each module fares and what it costs; worked out once a change, however many panels ask.
export function current() {
  const { model, selection, recipe } = state;
  if (!model || !selection || !recipe) return null;
  if (cached.model !== model || cached.selection !== selection || cached.recipe !== recipe) {
    const found = outcome(model, selection);
    cached = { model, selection, recipe, ...found, budget: budget(model, selection, recipe, found) };
  }
  return cached;
}

export const currentBudget = () => current()?.budget ?? null;

// How much of a list of modules learns: "none", "all" or "some".
export function extent(modules) {
  const { status } = current();
  let [reachable, on] = [0, 0];
  for (const module of modules) {
    if (module.adaptable || status[module.index]) reachable += 1;
    if (status[module.index] !== FROZEN) on += 1;
  }
  return on === 0 ? "none" : on === reachable ? "all" : "some";
}

export const select = (patch, more = {}) => update({ selection: { ...state.selection, ...patch }, undo: null, task: null, priority: null, ...more });
export const cook = (patch, more = {}) => update({ recipe: { ...state.recipe, ...patch }, undo: null, task: null, knobError: null, ...more });

// A change that the page proposes: it can be taken back until the person changes something else.
export function propose(title, { selection = state.selection, recipe = state.recipe, ...more }) {
  const undo = { title, selection: state.selection, recipe: state.recipe, preset: state.preset, task: state.task, priority: state.priority };
  update({ selection, recipe, task: null, priority: null, knobError: null, ...more, undo, model: modelFor(selection) });
}

export function undo() {
  const { title, form, ...before } = state.undo;
  update({ ...before, undo: null, model: modelFor(before.selection) });
  if (form) setForm(form);
}

const modelFor = (selection) => (selection.relabels === state.selection.relabels ? state.model : labelled(state.inspected, selection.relabels));

// A preset says what learns and leaves the numbers as they were before a task set them; the person's own labels stay.
export function applyPreset({ name, cells }) {
  const { before } = state.task ?? {};
  select({ ...NOTHING_SELECTED, relabels: state.selection.relabels, cells: [...cells] }, { preset: name, ...(before && { recipe: before.recipe }) });
  if (before) setForm(before.form);
}

export function activePreset() {
  if (!state.model || !state.selection) return null;
  const { cells, include, exclude, layers, full } = state.selection;
  if (include.length || exclude.length || full.length || Object.keys(layers).length) return null;
  const mine = [...cells].sort().join();
  const same = state.model.presets.filter((preset) => preset.cells.length && [...preset.cells].sort().join() === mine);
  return same.find((preset) => preset.name === state.preset) ?? same[0] ?? null;
}

const inCell = (cell) => {
  const [component, role] = cell.split(".");
  return partOf(state.model, component)?.byRole.get(role) ?? [];
};

// How much of a cell learns, of the layers that were chosen.
export function cellExtent(cell) {
  const { inRange } = current();
  return extent(inCell(cell).filter(inRange));
}

export function toggleCell(cell) {
  const names = new Set(inCell(cell).map((module) => module.name));
  const cells = new Set(state.selection.cells);
  if (cellExtent(cell) === "all") cells.delete(cell);
  else cells.add(cell);
  const others = (list) => list.filter((name) => !names.has(name));
  select({ cells: [...cells], include: others(state.selection.include), exclude: others(state.selection.exclude) });
}

// Takes modules in or out one by one, keeping the lists as short as the cells allow.
export function toggleModules(modules) {
  const reachable = modules.filter((module) => module.adaptable);
  if (!reachable.length) return;
  const on = extent(reachable) !== "all";
  const { byCells } = current();
  const [include, exclude] = [new Set(state.selection.include), new Set(state.selection.exclude)];
  for (const module of reachable) {
    include.delete(module.name);
    exclude.delete(module.name);
    if (on && !byCells(module)) include.add(module.name);
    if (!on && byCells(module)) exclude.add(module.name);
  }
  select({ include: [...include], exclude: [...exclude] });
}

// Narrows a component to its layers from one place up to another; all of them, and there is no range.
export function setLayers(component, from, upTo) {
  const all = partOf(state.model, component).layers.length;
  const { [component]: _, ...layers } = state.selection.layers;
  if (from > 0 || upTo < all) layers[component] = upTo === all ? [from - all, null] : [from, upTo];
  select({ layers, include: followed(component, from, upTo) });
}

const kindOf = (name) => name.replace(/\d+/g, "#");

// The single modules when a range moves: kinds of which every layer of the range was taken in, as tasks do, follow it.
function followed(component, from, upTo) {
  const { layers } = partOf(state.model, component);
  const include = new Set(state.selection.include);
  const [start, stop] = layersOf(component);
  const inside = (a, b) => layers.slice(a, b).flatMap(([, modules]) => modules.filter((module) => module.adaptable));
  const missing = new Set(inside(start, stop).filter(({ name }) => !include.has(name)).map(({ name }) => kindOf(name)));
  const whole = new Set(inside(start, stop).map(({ name }) => kindOf(name)).filter((kind) => !missing.has(kind)));
  for (const { name } of inside(start, stop)) if (whole.has(kindOf(name))) include.delete(name);
  for (const { name } of inside(from, upTo)) if (whole.has(kindOf(name))) include.add(name);
  return [...include];
}

// The places that a component's range means: [from, up to, all].
export function layersOf(component) {
  const all = partOf(state.model, component).layers.length;
  const [start, stop] = state.selection.layers[component] ?? [null, null];
  const place = (at, otherwise) => (at === null ? otherwise : at < 0 ? Math.max(0, all + at) : Math.min(at, all));
  return [place(start, 0), place(stop, all), all];
}

export function setKnob(component, name, value) {
  const { [component]: before = {}, ...components } = state.recipe.components;
  const knobs = { ...before, [name]: value };
  if (value === null) delete knobs[name];
  if (Object.keys(knobs).length) components[component] = knobs;
  cook({ components });
}

// Of components or modules, by their names: every parameter in them learns, without LoRA.
export function trainInFull(names, on) {
  const full = state.selection.full.filter((each) => !names.includes(each));
  select({ full: on ? [...full, ...names] : full });
}

// Calls subtrees something else; null puts the page's own labels back. What then means nothing is dropped.
export function relabel(names, component) {
  const relabels = Object.fromEntries(Object.entries(state.selection.relabels).filter(([name]) => !names.includes(name)));
  if (component) for (const name of names) relabels[name] = component;
  const model = labelled(state.inspected, relabels);
  const known = (component) => model.components.includes(component);
  const kept = (values) => Object.fromEntries(Object.entries(values).filter(([component]) => known(component)));
  const { cells, full, layers } = state.selection;
  const selection = { ...state.selection, relabels, cells: cells.filter((cell) => model.cells.has(cell)), layers: kept(layers), full: full.filter((each) => known(each) || !isComponent(each)) };
  const title = component ? "the new label" : "the page's own label";
  propose(title, { selection, recipe: { ...state.recipe, components: kept(state.recipe.components) } });
}

const isComponent = (name) => state.model.components.includes(name);

// The guessed parts that the choice trains; the server refuses them until the person has said that it is meant.
export function guessesTrained() {
  const now = current();
  if (!now) return [];
  return guesses(state.model).filter(({ modules }) => modules.some((module) => now.status[module.index] !== FROZEN));
}

export const confirmation = () => guessesTrained().map(({ root, component }) => `${root}=${component}`).join();
export const isConfirmed = () => !confirmation() || state.confirmed === confirmation();

// What to send to the server: selection and recipe as core.spec reads them, and the count that the person saw.
export function choiceForServer() {
  return {
    model_key: state.model.key, selection: state.selection, recipe: state.recipe, dataset: state.dataset,
    shown: currentBudget().trainable, confirmed: isConfirmed(),
  };
}

export const isFull = (module) => current().status[module.index] === FULL;
