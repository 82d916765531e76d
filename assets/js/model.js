// The inspection in hand, made ready for drawing and counting, and the selection on it.

import { state, update } from "./store.js";
import { COMPONENTS } from "./words.js";
import { budget, isSelected } from "./count.js";

const ROLES = ["attention", "mlp", "embedding", "head", "norm", "other"];

// The server sends modules as rows to keep the file small; see ui/routes.py.
export function readInspection(data) {
  const modules = data.modules.map((row) => {
    const [name, kind, shape, component, role, layer, params, adaptable, reason, confidence, root, own] = row;
    const parameters = own.map(([leaf, sizes, reached]) => ({ name: leaf, shape: sizes, adaptable: reached }));
    const fused = parameters.some((each) => each.adaptable && each.shape.length === 3);
    return { name, kind, shape, component, role, layer, params, adaptable, reason, confidence, root, parameters, cell: `${component}.${fused ? "experts" : role}` };
  });
  const components = COMPONENTS.filter((name) => modules.some((module) => module.component === name));
  return {
    key: data.key, label: data.label, source: data.source, modelClass: data.model_class, total: data.total_params,
    modules, components, byName: new Map(modules.map((module) => [module.name, module])), parts: components.map((name) => part(name, modules)),
    presets: data.presets,
  };
}

function part(component, modules) {
  const own = modules.filter((module) => module.component === component);
  const layers = new Map();
  for (const module of own) {
    if (module.layer === null || !module.adaptable) continue;
    if (!layers.has(module.layer)) layers.set(module.layer, []);
    layers.get(module.layer).push(module);
  }
  const roles = ROLES.filter((role) => own.some((module) => module.role === role && module.adaptable));
  return {
    component, own, roles, params: own.reduce((n, module) => n + module.params, 0),
    layers: [...layers.entries()].sort(([a], [b]) => a - b),
  };
}

export function choice() {
  return { cells: new Set(state.cells ?? []), include: new Set(state.include), exclude: new Set(state.exclude), rank: state.rank };
}

let cached = { signature: null, value: null };

// The budget of what is chosen now; counted once per change, however many panels ask.
export function currentBudget() {
  if (!state.model || state.cells === null) return null;
  const signature = [state.model.key, state.cells, state.include, state.exclude, state.rank].join("|");
  if (cached.signature !== signature) cached = { signature, value: budget(state.model, choice()) };
  return cached.value;
}

export const applyPreset = (preset) => update({ preset: preset.name, cells: [...preset.cells], include: [], exclude: [] });

export function activePreset() {
  if (!state.model || state.include.length || state.exclude.length || state.cells === null) return null;
  const mine = [...state.cells].sort().join();
  const same = state.model.presets.filter((preset) => preset.cells.length && [...preset.cells].sort().join() === mine);
  return same.find((preset) => preset.name === state.preset) ?? same[0] ?? null;
}

// How much of a list of modules learns: "none", "all" or "some".
export function extent(modules, chosen = choice()) {
  const reachable = modules.filter((module) => module.adaptable);
  const on = reachable.filter((module) => isSelected(module, chosen)).length;
  return on === 0 ? "none" : on === reachable.length ? "all" : "some";
}

export function toggleCell(cell) {
  const inCell = state.model.modules.filter((module) => module.cell === cell && module.adaptable);
  const names = new Set(inCell.map((module) => module.name));
  const cells = new Set(state.cells);
  if (extent(inCell) === "all") cells.delete(cell);
  else cells.add(cell);
  update({ cells: [...cells], include: state.include.filter((name) => !names.has(name)), exclude: state.exclude.filter((name) => !names.has(name)) });
}

// Takes modules in or out one by one, keeping the lists as short as the cells allow.
export function toggleModules(modules) {
  const reachable = modules.filter((module) => module.adaptable);
  if (!reachable.length) return;
  const on = extent(reachable) !== "all";
  const cells = new Set(state.cells);
  const include = new Set(state.include);
  const exclude = new Set(state.exclude);
  for (const module of reachable) {
    include.delete(module.name);
    exclude.delete(module.name);
    if (on && !cells.has(module.cell)) include.add(module.name);
    if (!on && cells.has(module.cell)) exclude.add(module.name);
  }
  update({ include: [...include], exclude: [...exclude] });
}

// What to send at Start: the selection as core.spec.Selection reads it, and the count that the person saw.
export function selectionForServer() {
  return {
    model_key: state.model.key,
    selection: { cells: state.cells, include: state.include, exclude: state.exclude },
    rank: state.rank, alpha: state.alpha, dataset: state.dataset, shown: currentBudget().trainable,
  };
}
