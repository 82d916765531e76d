// The inspection in hand, made ready for drawing and counting: its modules, its parts, and the person's own labels.

import { COMPONENTS } from "./words.js";

export const ROLES = ["attention", "mlp", "experts", "other", "embedding", "head", "norm"];

// The server sends modules as rows to keep the file small; see ui/views.py.
export function readInspection(data) {
  const modules = data.modules.map((row) => {
    const [name, kind, shape, component, role, layer, params, adaptable, reason, confidence, root, own] = row;
    const parameters = own.map(([leaf, sizes, reached, transposed]) => ({ name: leaf, shape: sizes, adaptable: reached, transposed }));
    const fused = parameters.some((each) => each.adaptable && each.shape.length === 3);
    return { name, kind, shape, component, role: fused ? "experts" : role, layer, params, adaptable, reason, confidence, root, parameters };
  });
  return {
    key: data.key, label: data.label, source: data.source, modelClass: data.model_class, total: data.total_params,
    writes: data.writes, untrainable: data.untrainable, modules, presets: data.presets, tasks: data.tasks, priorities: data.priorities,
  };
}

const liesIn = (name, outer) => name === outer || name.startsWith(`${outer}.`);

// Labels that the person has put right, as core/models/relabel.py does it: the innermost name decides.
function label(module, innermost, relabels) {
  const name = innermost.find((outer) => liesIn(module.name, outer));
  if (name === undefined) return module;
  const component = relabels[name];
  if (component === module.component) return { ...module, confidence: "high" }; // the person says that a guess is right
  const [before, ...rest] = module.reason.split(/\.(?: |$)/);
  const said = `${component.replace("_", "-")}: you said so (before: ${before}).`;
  return { ...module, component, confidence: "high", root: name, reason: [said, rest.join(". ")].join(" ").trim() };
}

// The model as it is drawn and counted. Each module knows its place in the grid and in the list.
export function labelled(inspected, relabels = {}) {
  const innermost = Object.keys(relabels).sort((a, b) => b.length - a.length);
  const modules = inspected.modules.map((module, index) => {
    const seen = innermost.length ? label(module, innermost, relabels) : module;
    return { ...seen, index, cell: `${seen.component}.${seen.role}` };
  });
  const components = COMPONENTS.filter((name) => modules.some((module) => module.component === name));
  const cells = new Set(modules.filter((module) => module.adaptable).map((module) => module.cell));
  return {
    ...inspected, modules, components, cells, byName: new Map(modules.map((module) => [module.name, module])),
    parts: components.map((name) => part(name, modules)), presets: inspected.presets.map((preset) => ({ ...preset, cells: presetCells(preset, cells) })),
  };
}

// A preset as it falls on the model with the person's own labels.
const presetCells = ({ components, roles }, cells) => components.flatMap((name) => roles.map((role) => `${name}.${role}`)).filter((cell) => cells.has(cell));

function part(component, modules) {
  const own = modules.filter((module) => module.component === component);
  const layers = new Map();
  for (const module of own) {
    if (module.layer === null || !module.adaptable) continue;
    if (!layers.has(module.layer)) layers.set(module.layer, []);
    layers.get(module.layer).push(module);
  }
  const reachable = own.filter((module) => module.adaptable);
  return {
    component, own, roles: ROLES.filter((role) => reachable.some((module) => module.role === role)),
    byRole: grouped(reachable),
    params: own.reduce((n, module) => n + module.params, 0),
    layers: [...layers.entries()].sort(([a], [b]) => a - b),
  };
}

function grouped(modules) {
  const found = new Map();
  for (const module of modules) {
    if (!found.has(module.role)) found.set(module.role, []);
    found.get(module.role).push(module);
  }
  return found;
}

export const partOf = (model, component) => model.parts.find((part) => part.component === component);

// The subtrees whose labels are guesses, or where the kinds of evidence disagree, with what they hold.
export function guesses(model) {
  const found = new Map();
  for (const module of model.modules) {
    if (module.confidence !== "low") continue;
    const root = module.root || module.name;
    if (!found.has(root)) found.set(root, { root, component: module.component, modules: [] });
    found.get(root).modules.push(module);
  }
  return [...found.values()];
}
