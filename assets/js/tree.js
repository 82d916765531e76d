// The module tree: layers that repeat are folded into one row, any row can be taken in or out, by mouse or keyboard.

import { state, subscribe } from "./store.js";
import { draw, html } from "./html.js";
import { choice, extent, toggleModules } from "./model.js";
import { added } from "./count.js";
import { buildTree } from "./tree_nodes.js";
import { count, short } from "./format.js";
import { COMPONENTS, COMPONENT_SHORT } from "./words.js";

const view = { root: null, key: null, open: new Set(), search: "", onlyLearning: false, component: "", focus: null, why: null };

function matches(module, chosen) {
  if (view.component && module.component !== view.component) return false;
  if (view.onlyLearning && extent([module], chosen) === "none") return false;
  return !view.search || module.name.toLowerCase().includes(view.search) || module.kind.toLowerCase().includes(view.search);
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
function visibleRows(chosen) {
  const narrowed = view.search || view.onlyLearning || view.component;
  const rows = [];
  const walk = (node, depth) => {
    if (narrowed && !node.modules.some((module) => matches(module, chosen))) return;
    const isOpen = node.children.length > 0 && (view.open.has(node.id) || (Boolean(view.search) && !node.each));
    rows.push({ node, depth, isOpen });
    if (isOpen) for (const child of node.children) walk(child, depth + 1);
  };
  for (const child of view.root.children) walk(child, 0);
  return rows;
}

const CHECKED = { none: "false", some: "mixed", all: "true" };

// While the list is narrowed, a row stands for the modules that match, and a click on its box takes in no others.
const inView = (node, chosen) => node.modules.filter((module) => matches(module, chosen));

function row({ node, depth, isOpen }, chosen) {
  const shown = inView(node, chosen);
  const reachable = shown.filter((module) => module.adaptable);
  const on = extent(shown, chosen);
  const chosenModules = on === "none" ? [] : reachable.filter((module) => extent([module], chosen) === "all");
  const gained = chosenModules.reduce((n, module) => n + added(module, state.rank), 0);
  const first = node.modules[0];
  const params = shown.reduce((n, module) => n + module.params, 0);
  const fold = node.children.length ? (isOpen ? "▾" : "▸") : "";
  const what = node.children.length ? node.kind : first.shape.length ? `${node.kind} ${first.shape.join("×")}` : node.kind;
  return html`<div class="tree-row ${!reachable.length && "fixed"}" role="treeitem" tabindex="${view.focus === node.id ? 0 : -1}" data-id="${node.id}" data-key="row-${node.id}"
    data-component="${node.component}" aria-level="${depth + 1}" aria-checked="${CHECKED[on]}" ${node.children.length ? html`aria-expanded="${String(isOpen)}"` : ""}
    aria-label="${node.label}${node.times > 1 ? `, ${node.times} times` : ""}, ${COMPONENT_SHORT[node.component]}, ${reachable.length ? { none: "frozen", some: "partly learns", all: "learns" }[on] : "LoRA cannot reach it"}" style="--depth:${depth}">
    <span class="name"><span class="fold" aria-hidden="true">${fold}</span><span class="box" aria-hidden="true"></span><span class="dot" aria-hidden="true"></span><b>${node.label}</b>${node.times > 1 && html`<span class="times">×${node.times}</span>`}</span>
    <span class="cell" title="${what}">${what}</span><span class="cell">${short(params)}</span>
    <span class="cell ${gained && "plus"}">${gained ? `+${count(gained)}` : reachable.length ? "frozen" : "–"}</span>
    <span class="ask" title="Why this label?" aria-hidden="true">?</span>
    ${view.why === node.id && html`<span class="tree-why">${why(node)}</span>`}</div>`;
}

function why(node) {
  const reasons = new Map();
  for (const module of node.modules) {
    const line = module.reason;
    reasons.set(line, (reasons.get(line) ?? 0) + 1);
  }
  const lines = [...reasons.entries()].slice(0, 4).map(([line, n]) => html`${node.modules.length > 1 ? `${n} × ` : ""}${line}<br>`);
  return html`${lines}${reasons.size > 4 && `and ${reasons.size - 4} more reasons, on the rows below`}`;
}

function tools() {
  const has = COMPONENTS.filter((name) => state.model.components.includes(name));
  return html`<div class="cap"><strong>Every module</strong><span class="tree-tools">
    <input type="search" data-key="tree-search" placeholder="search a name or class" aria-label="Search modules">
    <select data-key="tree-component" aria-label="Component"><option value="">all components</option>${has.map((name) => html`<option value="${name}" ${view.component === name ? html`selected` : ""}>${COMPONENT_SHORT[name]}</option>`)}</select>
    <button data-learning data-key="tree-learning" aria-pressed="${String(view.onlyLearning)}">${view.onlyLearning ? "✓ " : ""}only what learns</button></span></div>`;
}

function redraw(element) {
  if (!state.model) return draw(element, "");
  if (view.key !== state.model.key) Object.assign(view, { key: state.model.key, root: buildTree(state.model.modules), open: null, focus: null, why: null });
  view.open ??= openAtFirst(view.root);
  const chosen = choice();
  const rows = visibleRows(chosen);
  if (!rows.some(({ node }) => node.id === view.focus)) view.focus = rows[0]?.node.id ?? null;
  if (!element.querySelector(".tree")) element.innerHTML = '<div class="card"><div class="tools"></div><div class="body"></div></div>';
  if (draw(element.querySelector(".tools"), tools())) element.querySelector("input[type=search]").value = view.search;
  const top = element.querySelector(".tree")?.scrollTop ?? 0;
  draw(element.querySelector(".body"), html`<div class="tree-head" aria-hidden="true"><span>Tick a box to take modules in or out; “?” says why they are labelled so</span><span>class and shape</span><span>size</span><span>learns</span><span></span></div>
    <div class="tree" role="tree" aria-label="Module tree" aria-multiselectable="true">${rows.length ? rows.map((each) => row(each, chosen)) : html`<p class="empty">Nothing here is called “${view.search}”${view.onlyLearning && " and learns"}.</p>`}</div>`);
  element.querySelector(".tree").scrollTop = top;
  return true;
}

const find = (id, node = view.root) => (node.id === id ? node : node.children.map((child) => find(id, child)).find(Boolean));

function open(id, yes) {
  if (yes) view.open.add(id);
  else view.open.delete(id);
}

function onClick(element, event) {
  if (event.target.closest("[data-learning]")) {
    view.onlyLearning = !view.onlyLearning;
    return redraw(element);
  }
  const target = event.target.closest(".tree-row");
  if (!target) return false;
  const node = find(target.dataset.id);
  view.focus = node.id;
  const reachable = node.modules.some((module) => module.adaptable);
  if (event.target.closest(".ask") || (!node.children.length && !reachable)) view.why = view.why === node.id ? null : node.id;
  else if (event.target.closest(".box") || !node.children.length) toggleModules(inView(node, choice()));
  else open(node.id, !view.open.has(node.id));
  redraw(element);
  element.querySelector(`[data-id="${CSS.escape(node.id)}"]`)?.focus({ preventScroll: true });
  return true;
}

const level = (row) => Number(row.getAttribute("aria-level"));
const parentRow = (rows, at) => rows.slice(0, at).reverse().find((row) => level(row) < level(rows[at]));

// Keys as in the WAI-ARIA tree pattern; the space bar takes in or out, Enter says why.
function onKey(element, event) {
  const target = event.target.closest(".tree-row");
  if (!target) return;
  const rows = [...element.querySelectorAll(".tree-row")];
  const at = rows.indexOf(target);
  const node = find(target.dataset.id);
  view.focus = node.id;
  const moves = { ArrowDown: rows[at + 1], ArrowUp: rows[at - 1], Home: rows[0], End: rows.at(-1) };
  if (event.key in moves) view.focus = moves[event.key]?.dataset.id ?? view.focus;
  else if (event.key === "ArrowRight" && node.children.length && !view.open.has(node.id)) open(node.id, true);
  else if (event.key === "ArrowRight" && node.children.length) view.focus = rows[at + 1]?.dataset.id ?? view.focus;
  else if (event.key === "ArrowLeft" && view.open.has(node.id)) open(node.id, false);
  else if (event.key === "ArrowLeft") view.focus = parentRow(rows, at)?.dataset.id ?? view.focus;
  else if (event.key === " ") toggleModules(inView(node, choice()));
  else if (event.key === "Enter") view.why = view.why === node.id ? null : node.id;
  else return;
  event.preventDefault();
  redraw(element);
  element.querySelector(`[data-id="${CSS.escape(view.focus)}"]`)?.focus();
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
    if (event.target.tagName !== "SELECT") return;
    view.component = event.target.value;
    redraw(element);
  });
  subscribe(() => redraw(element), "model", "cells", "include", "exclude", "rank");
}
