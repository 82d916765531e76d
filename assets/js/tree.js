// The module tree: layers that repeat are folded into one row, any row can be taken in or out, by mouse or keyboard.
// Only the rows in sight are on the page, so that 5,000 open rows are as quick as 20.

import { state, subscribe } from "./store.js";
import { draw, html } from "./html.js";
import { current, extent, toggleModules } from "./choice.js";
import { FROZEN, FULL, gained } from "./count.js";
import { about, leastSure, onAbout } from "./tree_about.js";
import { buildTree } from "./tree_nodes.js";
import { count, short } from "./format.js";
import { COMPONENTS, COMPONENT_SHORT, CONFIDENCE } from "./words.js";

const ROW = 34; // pixels, as in tree.css
const MORE = 8; // rows drawn above and below what is in sight

const view = { root: null, model: null, rows: [], byId: new Map(), open: null, search: "", onlyLearning: false, component: "", focus: null, about: null, aboutHeight: 0 };

// The modules that the search, the component and "only what learns" leave, or null for all of them.
function narrowedTo({ status }) {
  const { search, component, onlyLearning } = view;
  if (!search && !component && !onlyLearning) return null;
  const matches = (module) => (!component || module.component === component) && (!onlyLearning || status[module.index] !== FROZEN)
    && (!search || module.name.toLowerCase().includes(search) || module.kind.toLowerCase().includes(search));
  return new Set(state.model.modules.filter(matches));
}

// What is open at first: the way down to the repeated layers, which stay folded.
function openAtFirst(root) {
  const open = new Set();
  const walk = (node, depth) => {
    if (node.times > 1 || depth > 3) return;
    if (node.children.length) open.add(node.id);
    for (const child of node.children) walk(child, depth + 1);
  };
  walk(root, 0);
  return open;
}

// Rows in view, depth first. While searching, everything on the way to a match is open.
function visibleRows(matching) {
  const rows = [];
  const walk = (node, depth, parent, place, siblings) => {
    const isOpen = node.children.length > 0 && (view.open.has(node.id) || (Boolean(view.search) && !node.each));
    const at = rows.push({ node, depth, isOpen, parent, place, siblings }) - 1;
    if (isOpen) walkAll(node.children, depth + 1, at);
  };
  const walkAll = (nodes, depth, parent) => {
    const shown = matching ? nodes.filter((node) => node.modules.some((module) => matching.has(module))) : nodes;
    shown.forEach((node, place) => walk(node, depth, parent, place, shown.length));
  };
  walkAll(view.root.children, 0, null);
  return rows;
}

const CHECKED = { none: "false", some: "mixed", all: "true" };

// While the list is narrowed, a row stands for the modules that match, and a click on its box takes in no others.
const inView = (node) => (view.matching ? node.modules.filter((module) => view.matching.has(module)) : node.modules);

function learns(shown, { status }) {
  const sum = shown.reduce((n, module) => n + gained(module, status[module.index], state.recipe), 0);
  const full = shown.filter((module) => status[module.index] === FULL).length;
  return { sum, full: full > 0 && full === shown.filter((module) => status[module.index] !== FROZEN).length };
}

function row({ node, depth, isOpen, place, siblings }) {
  const shown = inView(node);
  const reachable = shown.some((module) => module.adaptable);
  const on = extent(shown);
  const { sum, full } = learns(shown, current());
  const [first] = node.modules;
  const params = shown.reduce((n, module) => n + module.params, 0);
  const sure = leastSure(shown);
  const what = node.children.length || !first.shape.length ? node.kind : `${node.kind} ${first.shape.join("×")}`;
  const how = on === "none" ? (reachable ? "frozen" : "LoRA cannot reach it") : full ? "learns in full" : on === "some" ? "partly learns" : "learns";
  const open = view.about === node.id;
  return html`<div class="tree-row ${!reachable && on === "none" && "fixed"} ${open && "asked"}" role="treeitem" tabindex="${view.focus === node.id ? 0 : -1}" data-id="${node.id}" data-key="row-${node.id}"
    data-component="${node.component}" aria-level="${depth + 1}" aria-posinset="${place + 1}" aria-setsize="${siblings}" aria-checked="${CHECKED[on]}" ${node.children.length ? html`aria-expanded="${String(isOpen)}"` : ""}
    aria-label="${node.label}${node.times > 1 ? `, ${node.times} times` : ""}, ${COMPONENT_SHORT[node.component]}${sure === "low" ? ` (${CONFIDENCE.low[1]})` : ""}, ${how}" style="--depth:${depth}"><div class="line">
    <span class="name" title="${node.label}"><span class="fold" aria-hidden="true">${node.children.length ? (isOpen ? "▾" : "▸") : ""}</span><span class="box" aria-hidden="true"></span><span class="dot" aria-hidden="true"></span><b>${node.label}</b>${node.times > 1 && html`<span class="times">×${node.times}</span>`}${sure === "low" && html`<span class="unsure" title="${CONFIDENCE.low[1]}" aria-hidden="true">${CONFIDENCE.low[0]}</span>`}</span>
    <span class="cell" title="${what}">${what}</span><span class="cell">${short(params)}</span>
    <span class="cell ${sum && "plus"}">${sum ? `${full ? "full " : "+"}${count(sum)}` : reachable ? "frozen" : "–"}</span>
    <span class="ask" title="Why this label? And more" aria-hidden="true">?</span></div>${open && html`<div class="tree-about">${about(node, shown)}</div>`}</div>`;
}

function tools() {
  const has = COMPONENTS.filter((name) => state.model.components.includes(name));
  return html`<div class="cap"><strong>Every module</strong><span class="tree-tools">
    <input type="search" data-key="tree-search" placeholder="search a name or class" aria-label="Search modules">
    <select data-key="tree-component" data-filter aria-label="Component"><option value="">all components</option>${has.map((name) => html`<option value="${name}" ${view.component === name ? html`selected` : ""}>${COMPONENT_SHORT[name]}</option>`)}</select>
    <button data-learning data-key="tree-learning" aria-pressed="${String(view.onlyLearning)}">${view.onlyLearning ? "✓ " : ""}only what learns</button></span></div>
    <div class="tree-head" aria-hidden="true"><span>Tick a box to take modules in or out; “?” says why they are labelled so</span><span>class and shape</span><span>size</span><span>learns</span><span></span></div>`;
}

const SHELL = '<div class="card"><div class="tools"></div><div class="tree" role="tree" aria-label="Module tree" aria-multiselectable="true"><div class="above"></div><div class="rows"></div><div class="below"></div></div></div>';

let opened = 0; // counts how often a row was opened or closed

// What decides which rows there are; a toggle changes it only while the tree shows what learns.
const lookedAt = () => [opened, view.adopted, view.search, view.component, view.onlyLearning && JSON.stringify(state.selection)].join("|");

// Works out the rows anew, after a change of what is chosen or of what is looked at.
function redraw(element) {
  if (state.step !== "targets" || !current()) return;
  if (view.model !== state.model) adopt(state.model);
  if (lookedAt() !== view.lookedAt) {
    view.matching = narrowedTo(current());
    view.rows = visibleRows(view.matching);
    view.lookedAt = lookedAt();
  }
  if (!view.rows.some(({ node }) => node.id === view.focus)) view.focus = view.rows[0]?.node.id ?? null;
  if (!element.querySelector(".tree")) {
    element.innerHTML = SHELL;
    element.querySelector(".tree").addEventListener("scroll", () => paint(element), { passive: true });
  }
  if (draw(element.querySelector(".tools"), tools())) element.querySelector("input[type=search]").value = view.search;
  paint(element);
}

// Another model begins with its own open rows; another label on the same model keeps what was open.
function adopt(model) {
  const root = buildTree(model.modules);
  const byId = new Map();
  const walk = (node) => {
    byId.set(node.id, node);
    node.children.forEach(walk);
  };
  walk(root);
  const same = view.model?.key === model.key;
  Object.assign(view, { model, root, byId, adopted: (view.adopted ?? 0) + 1, open: same ? view.open : openAtFirst(root) }, same ? {} : { focus: null, about: null });
}

// Draws the rows in sight; those before and after are only as much space as they take.
function paint(element) {
  const box = element.querySelector(".tree");
  const { rows } = view;
  const asked = rows.findIndex(({ node }) => node.id === view.about);
  const extra = asked < 0 ? 0 : view.aboutHeight;
  const top = (i) => i * ROW + (asked >= 0 && i > asked ? extra : 0);
  const at = (y) => Math.floor(asked >= 0 && y > top(asked) + ROW ? Math.max(asked, (y - extra) / ROW) : y / ROW);
  const first = Math.max(0, Math.min(at(box.scrollTop) - MORE, rows.length - 1)); // narrowed, the list may end above
  const last = Math.min(rows.length, at(box.scrollTop + (box.clientHeight || 560)) + MORE + 1);
  box.firstChild.style.height = `${top(first)}px`;
  box.lastChild.style.height = `${rows.length * ROW + extra - top(last)}px`;
  const nothing = html`<p class="empty">No module here ${view.search && `is called “${view.search}”`}${view.search && view.onlyLearning && " and "}${view.onlyLearning && "learns"}${!view.search && !view.onlyLearning && "is of this component"}.</p>`;
  draw(box.children[1], rows.length ? html`${rows.slice(first, last).map(row)}` : nothing);
  const height = box.querySelector(".tree-about")?.offsetHeight ?? extra;
  if (height !== view.aboutHeight) view.aboutHeight = height;
}

function focusOn(element, id) {
  const box = element.querySelector(".tree");
  const place = view.rows.findIndex(({ node }) => node.id === id);
  const asked = view.rows.findIndex(({ node }) => node.id === view.about);
  const top = place * ROW + (asked >= 0 && place > asked ? view.aboutHeight : 0);
  const bottom = top + ROW + (view.about === id ? view.aboutHeight : 0);
  if (bottom > box.scrollTop + box.clientHeight) box.scrollTop = bottom - box.clientHeight;
  if (top < box.scrollTop) box.scrollTop = top;
  paint(element);
  box.querySelector(`[data-id="${CSS.escape(id)}"]`)?.focus({ preventScroll: true });
}

function open(id, yes) {
  opened += 1;
  if (yes) view.open.add(id);
  else view.open.delete(id);
}

const ask = (id) => (view.about = view.about === id ? null : id);

function onClick(element, event) {
  if (event.target.closest("[data-learning]")) {
    view.onlyLearning = !view.onlyLearning;
    return redraw(element);
  }
  if (event.target.closest(".tree-about")) return onAbout(event);
  const target = event.target.closest(".tree-row");
  if (!target) return undefined;
  const node = view.byId.get(target.dataset.id);
  view.focus = node.id;
  const reachable = node.modules.some((module) => module.adaptable);
  if (event.target.closest(".ask") || (!node.children.length && !reachable)) ask(node.id);
  else if (event.target.closest(".box") || !node.children.length) toggleModules(inView(node));
  else open(node.id, !view.open.has(node.id));
  redraw(element);
  return focusOn(element, node.id);
}

// Keys as in the WAI-ARIA tree pattern; the space bar takes in or out, Enter says why.
function onKey(element, event) {
  const target = event.target.closest(".tree-row");
  if (!target || event.target.closest(".tree-about")) return;
  const { rows } = view;
  const at = rows.findIndex(({ node }) => node.id === target.dataset.id);
  const { node, isOpen, parent } = rows[at];
  const page = Math.max(1, Math.floor(element.querySelector(".tree").clientHeight / ROW) - 1);
  const moves = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1, PageDown: Math.min(at + page, rows.length - 1), PageUp: Math.max(at - page, 0) };
  const goTo = (place) => (view.focus = rows[place]?.node.id ?? node.id);
  view.focus = node.id;
  if (event.key in moves) goTo(moves[event.key]);
  else if (event.key === "ArrowRight" && node.children.length && !isOpen) open(node.id, true);
  else if (event.key === "ArrowRight" && node.children.length) goTo(at + 1);
  else if (event.key === "ArrowLeft" && view.open.has(node.id)) open(node.id, false);
  else if (event.key === "ArrowLeft" && parent !== null) goTo(parent);
  else if (event.key === " ") toggleModules(inView(node));
  else if (event.key === "Enter") ask(node.id);
  else if (event.key !== "ArrowLeft") return;
  event.preventDefault();
  redraw(element);
  focusOn(element, view.focus);
}

export function mountTree(element) {
  element.addEventListener("click", (event) => onClick(element, event));
  element.addEventListener("keydown", (event) => onKey(element, event));
  element.addEventListener("input", (event) => {
    if (event.target.type !== "search") return;
    view.search = event.target.value.trim().toLowerCase();
    redraw(element);
  });
  element.addEventListener("change", (event) => {
    if (event.target.closest(".tree-about")) return onAbout(event);
    if (!("filter" in event.target.dataset)) return undefined;
    view.component = event.target.value;
    return redraw(element);
  });
  subscribe(() => redraw(element), "model", "selection", "recipe", "step");
}
