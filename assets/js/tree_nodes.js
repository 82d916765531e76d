// From a flat list of named modules to a tree: single children are joined into one row, equal numbered siblings folded.

function insert(root, module) {
  let node = root;
  for (const segment of module.name.split(".")) {
    if (!node.branches.has(segment)) node.branches.set(segment, { branches: new Map(), own: null });
    node = node.branches.get(segment);
  }
  node.own = module;
}

function gather(raw) {
  const modules = raw.own ? [raw.own] : [];
  for (const child of raw.branches.values()) modules.push(...gather(child));
  return modules;
}

// Two subtrees are equal when the same paths below them hold the same classes and shapes.
function signature(raw, path = "") {
  const own = raw.own ? `${path}:${raw.own.kind}:${raw.own.shape}:${raw.own.component}:${raw.own.adaptable}:${raw.own.confidence};` : "";
  return own + [...raw.branches].map(([segment, child]) => signature(child, `${path}.${segment}`)).join("");
}

function folds(raw) {
  const runs = [];
  for (const [segment, child] of raw.branches) {
    const mark = /^\d+$/.test(segment) ? signature(child) : null;
    const last = runs.at(-1);
    if (mark !== null && last?.mark === mark) last.members.push([segment, child]);
    else runs.push({ mark, members: [[segment, child]] });
  }
  return runs;
}

const common = (modules) => {
  const names = new Set(modules.map((module) => module.component));
  if (names.size === 1) return modules[0].component;
  return [...names].sort((a, b) => modules.filter((m) => m.component === b).length - modules.filter((m) => m.component === a).length)[0];
};

// One row for several equal subtrees: its children stand for all of them at once, then each layer by itself.
function foldedNode(members, path, label) {
  const raws = members.map(([, raw]) => raw);
  const from = members[0][0];
  const to = members.at(-1)[0];
  const name = `${label}${from}–${to}`;
  const id = `${path}[${from}-${to}]`;
  const together = mergedChildren(raws, id, members.map(([segment]) => `${path}.${segment}`));
  const paths = members.map(([segment]) => `${path}.${segment}`);
  const each = { id: `${id}/each`, label: "each layer by itself", each: true, paths, kind: "", times: 1, modules: raws.flatMap(gather), component: common(raws.flatMap(gather)), children: members.map(([segment, raw]) => node(raw, `${path}.${segment}`, segment)) };
  return { id, label: name, paths, kind: "", times: members.length, modules: each.modules, component: each.component, children: [...together, each] };
}

function mergedChildren(raws, id, paths) {
  return [...raws[0].branches.keys()].map((segment) => merged(raws.map((raw) => raw.branches.get(segment)), `${id}.${segment}`, segment, paths.map((path) => `${path}.${segment}`)));
}

function merged(raws, id, label, paths) {
  const modules = raws.flatMap(gather);
  let children = mergedChildren(raws, id, paths);
  if (children.length === 1 && !raws[0].own) return { ...children[0], label: `${label}.${children[0].label}` };
  if (raws[0].own && !children.length) children = [];
  return { id, label, kind: raws[0].own?.kind ?? "", times: raws.length, paths, modules, component: common(modules), children };
}

function node(raw, path, label) {
  const modules = gather(raw);
  const children = childNodes(raw, path);
  if (children.length === 1 && !raw.own) {
    const [only] = children;
    return { ...only, label: `${label}.${only.label}`, paths: only.times > 1 ? [path] : only.paths };
  }
  return { id: path, label, paths: [path], kind: raw.own?.kind ?? "", times: 1, modules, component: common(modules), children };
}

function childNodes(raw, path) {
  return folds(raw).flatMap(({ mark, members }) => (mark !== null && members.length > 1
    ? [foldedNode(members, path, "")]
    : members.map(([segment, child]) => node(child, `${path}.${segment}`, segment))));
}

export function buildTree(modules) {
  const root = { branches: new Map(), own: null };
  for (const module of modules) insert(root, module);
  return { id: "", label: "", paths: [], kind: "", times: 1, modules, component: "other", children: childNodes(root, "") };
}
