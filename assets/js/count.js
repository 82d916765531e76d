// What a choice costs: trainable parameters and the bytes of the adapter file, exactly, in the browser.
// Closed forms: LoRA (arXiv:2106.09685) adds A [r, in] and B [out, r] to a Linear; PEFT 0.21 shapes for the others.
// The server counts again at Start (core/lora/budget.py), and so does the worker after PEFT has wrapped the model.

import { savedTensors, trainedTensors, wrappings } from "./tensors.js";

export const FROZEN = 0;
export const LORA = 1;
export const FULL = 2; // every parameter is trained, without LoRA

const product = (shape) => shape.reduce((n, size) => n * size, 1);

export const rankOf = (module, recipe) => recipe.components[module.component]?.rank ?? recipe.rank;

// The layers that a range [start, stop] means, as in a Python slice over the component's layers.
export const slice = (layers, [start, stop]) => layers.slice(start ?? 0, stop ?? undefined);

// Whether a module lies in the layers that were chosen for its component; all do where nothing was chosen.
function withinLayers(model, ranges) {
  const chosen = new Map(model.parts.filter((part) => ranges[part.component])
    .map((part) => [part.component, new Set(slice(part.layers.map(([layer]) => layer), ranges[part.component]))]));
  return (module) => !chosen.has(module.component) || chosen.get(module.component).has(module.layer);
}

// Whether a module is trained in full: by its component, its name, or one that it lies in where no component is called so.
function trainedInFull(model, full) {
  const components = new Set(full.filter((name) => model.modules.some((module) => module.component === name)));
  const names = full.filter((name) => !components.has(name));
  return (module) => components.has(module.component) || names.some((name) => module.name === name || module.name.startsWith(`${name}.`));
}

// How each module fares: FROZEN, LORA or FULL, and whether the cells alone would take it.
export function outcome(model, selection) {
  const [cells, include, exclude] = [selection.cells, selection.include, selection.exclude].map((names) => new Set(names));
  const inRange = withinLayers(model, selection.layers);
  const inFull = selection.full.length ? trainedInFull(model, selection.full) : () => false;
  const status = new Uint8Array(model.modules.length);
  for (const module of model.modules) {
    if (inFull(module)) status[module.index] = FULL;
    else if (module.adaptable && !exclude.has(module.name) && (include.has(module.name) || (cells.has(module.cell) && inRange(module)))) status[module.index] = LORA;
  }
  return { status, inRange, byCells: (module) => cells.has(module.cell) && inRange(module) };
}

// Trainable parameters that the module gets.
export function gained(module, status, recipe) {
  if (status === FULL) return module.parameters.reduce((n, { shape }) => n + product(shape), 0);
  if (status !== LORA) return 0;
  return trainedTensors(module, rankOf(module, recipe), recipe).reduce((n, [, shape]) => n + product(shape), 0);
}

let sorted = { model: null, key: null, entries: [] };

// Modules with parameters that LoRA reaches by their own names and that hold other modules which LoRA reaches.
const outers = (model) => (model.outers ??= model.modules.filter((outer) => outer.adaptable && wrappings(outer) && model.modules.some((module) => module.adaptable && module.name.startsWith(`${outer.name}.`))));

// A module's name in the wrapped model: what lies in a module with wrapped parameters moves one down for each.
function pathOf(name, wrapped) {
  const outer = wrapped.find((each) => name.startsWith(`${each.name}.`));
  return outer ? outer.name + ".base_layer".repeat(wrappings(outer)) + name.slice(outer.name.length) : name;
}

// Every tensor that this method could save of the model, in the order in which safetensors lists them: the order of
// the names does not depend on the ranks, so that it is worked out once.
function entriesOf(model, status, recipe) {
  const wrapped = outers(model).filter((outer) => status[outer.index] === LORA);
  const key = [recipe.method, recipe.start, recipe.lora_bias, ...wrapped.map((outer) => outer.index)].join();
  if (sorted.model === model && sorted.key === key) return sorted.entries;
  const entries = [];
  for (const module of model.modules) {
    const path = pathOf(module.name, wrapped);
    if (module.adaptable) savedTensors(module, 1, recipe).forEach(([suffix], place) => entries.push({ key: `${path}.${suffix}`, module, how: LORA, place }));
    for (const { name, shape } of module.parameters) entries.push({ key: `${module.name}.${name}`, module, how: FULL, shape });
  }
  entries.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  sorted = { model, key, entries };
  return entries;
}

const PREFIX = "base_model.model.";
const ENTRY = ',"":{"dtype":"F32","shape":[],"data_offsets":[,]}'.length;
const digits = (n) => (n < 10 ? 1 : Math.floor(Math.log10(n) + 1e-12) + 1);

// Size of `adapter_model.safetensors`: 8 bytes of length, a JSON header padded with spaces to 8, then fp32 data.
// The header lists the tensors in the order of their names with shape and offsets.
export function adapterBytes(model, status, recipe) {
  let header = '{"__metadata__":{"format":"pt"}}'.length;
  let offset = 0;
  const shapes = new Map(); // modules of one kind and shape have tensors of the same shapes
  const shapesOf = (module) => {
    const like = `${module.kind} ${module.component} ${wrappings(module) ? module.name : module.shape}`;
    if (!shapes.has(like)) shapes.set(like, savedTensors(module, rankOf(module, recipe), recipe).map(([, sizes]) => [product(sizes), sizes.join().length]));
    return shapes.get(like);
  };
  for (const { key, module, how, place, shape } of entriesOf(model, status, recipe)) {
    if (status[module.index] !== how) continue;
    const [size, letters] = how === LORA ? shapesOf(module)[place] : [product(shape), shape.join().length];
    const end = offset + 4 * size;
    header += ENTRY + PREFIX.length + key.length + letters + digits(offset) + digits(end);
    offset = end;
  }
  return offset ? 8 + Math.ceil(header / 8) * 8 + offset : 0;
}

export function budget(model, selection, recipe, { status } = outcome(model, selection)) {
  const byComponent = Object.fromEntries(model.components.map((name) => [name, 0]));
  let [trainable, modules] = [0, 0];
  for (const module of model.modules) {
    if (status[module.index] === FROZEN) continue;
    const n = gained(module, status[module.index], recipe);
    byComponent[module.component] += n;
    trainable += n;
    modules += 1;
  }
  return { modules, trainable, byComponent, total: model.total, share: trainable / model.total, bytes: adapterBytes(model, status, recipe) };
}
