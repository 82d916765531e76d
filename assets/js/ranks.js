// AdaLoRA's ranks: how much of the rank each component holds over the steps, and how much each module has left at the step
// that is looked at.

import { state, subscribe } from "./store.js";
import { plotly } from "./api.js";
import { draw, drawNow, html } from "./html.js";
import { heat, mountHeat } from "./heat.js";
import { CONFIG, color, dashLegend, dashOf, layout, line } from "./plot_parts.js";
import { COMPONENTS, COMPONENT_SHORT } from "./words.js";
import { count } from "./format.js";
import { isRunning } from "./run.js";
import { when } from "./when.js";

const places = new WeakMap(); // the run's list of modules -> its rows

const lastPart = (name) => name.split(".").at(-1);

// One row a component and a kind of module, one cell a layer; the modules outside of layers stand at the end.
function rowsOf(modules) {
  if (places.has(modules)) return places.get(modules);
  const rows = new Map();
  modules.forEach(({ name, component, layer }, place) => {
    const key = `${component}.${lastPart(name)}`;
    if (!rows.has(key)) rows.set(key, { key, name: `${COMPONENT_SHORT[component]}, ${lastPart(name)}`, label: lastPart(name), component, cells: [] });
    rows.get(key).cells.push({ key: `${layer ?? "x"}-${place}`, layer, place, name: layer === null || layer === undefined ? name : `layer ${layer}` });
  });
  const sorted = [...rows.values()].sort((a, b) => COMPONENTS.indexOf(a.component) - COMPONENTS.indexOf(b.component));
  places.set(modules, sorted);
  return sorted;
}

const componentsOf = (run) => COMPONENTS.filter((name) => run.modules.some(({ component }) => component === name));
const sum = (ranks) => ranks.reduce((all, rank) => all + rank, 0);
const ranksOf = (run, point, component) => point.ranks.filter((_, i) => run.modules[i].component === component);
const most = (run) => run.ranks.reduce((top, point) => Math.max(top, ...point.ranks), 1);

// Of a component: what it holds at a point, of what it began with.
function figures(run, point, component) {
  const own = ranksOf(run, point, component);
  const first = sum(ranksOf(run, run.ranks[0], component));
  return { component, first, now: sum(own), modules: own.length, empty: own.filter((rank) => !rank).length, kept: sum(own) / Math.max(1, first), share: sum(own) / Math.max(1, sum(point.ranks)) };
}

function inWords(run, point) {
  const [all, first] = [sum(point.ranks), sum(run.ranks[0].ranks)];
  if (all === first) return `No rank has been taken away yet: ${count(all)} in ${count(run.modules.length)} modules.`;
  const kept = componentsOf(run).map((name) => figures(run, point, name)).sort((a, b) => b.kept - a.kept);
  const told = kept.map(({ component, kept: share }) => `${COMPONENT_SHORT[component]} kept ${Math.round(100 * share)}% of its own`).join(", ");
  const empty = point.ranks.filter((rank) => !rank).length;
  return `${count(all)} of ${count(first)} ranks are left: ${told}.${empty ? ` ${count(empty)} of ${count(run.modules.length)} modules have none.` : ""}`;
}

function table(run, point) {
  const rows = componentsOf(run).map((name) => figures(run, point, name));
  return html`<table class="jobs-list rank-table num"><caption class="visually-hidden">Rank by component</caption><thead><tr><th scope="col">component</th><th scope="col">rank left</th><th scope="col">share of all</th><th scope="col">a module</th><th scope="col">with none</th></tr></thead>
    <tbody>${rows.map((each) => html`<tr data-component="${each.component}"><th scope="row"><span class="dot"></span> ${COMPONENT_SHORT[each.component]}</th><td>${count(each.now)} of ${count(each.first)}</td><td>${Math.round(100 * each.share)}%</td><td>${(each.now / each.modules).toFixed(1)}</td><td>${count(each.empty)} of ${count(each.modules)}</td></tr>`)}</tbody></table>`;
}

// Below each component's kinds of modules the sum of its layers.
function rowsAt(run, point) {
  const top = most(run);
  const rows = [];
  for (const component of componentsOf(run)) {
    const own = rowsOf(run.modules).filter((row) => row.component === component);
    rows.push(...own.map((row) => ({ ...row, cells: row.cells.map((each) => {
      const rank = point.ranks[each.place];
      return { ...each, strength: rank / top, told: `rank ${rank}`, shown: rank, kind: rank ? "" : "nothing" };
    }) })));
    if (own.length > 1) rows.push(sums(component, own, point));
  }
  return rows;
}

function sums(component, rows, point) {
  const layers = new Map();
  for (const { layer, place } of rows.flatMap((row) => row.cells)) if (layer !== null && layer !== undefined) layers.set(layer, (layers.get(layer) ?? 0) + point.ranks[place]);
  const top = Math.max(1, ...layers.values());
  const cells = [...layers].sort(([a], [b]) => a - b).map(([layer, rank]) => ({ key: `${layer}`, layer, name: `layer ${layer}`, strength: rank / top, told: `${rank} in all`, shown: rank, kind: rank ? "sum" : "sum nothing" }));
  return { key: `${component}-sum`, name: `${COMPONENT_SHORT[component]}, all of the layer`, label: "layer in all", component, cells };
}

function body(run, point) {
  return html`<p class="small">${inWords(run, point)}</p>${heat("ranks", `Rank of each module at step ${point.step}`, rowsAt(run, point), { numbers: true, grouped: true })}${table(run, point)}`;
}

const at = when("rank", (run) => run.ranks, body);

let drawn = null;

// A rank stays as it is until it changes: steps, not slopes.
function plot(element, run, theme) {
  const end = Math.max(isRunning() ? 0 : run.status.step, run.ranks.at(-1).step);
  const mark = [run.id, run.ranks.length, end, theme].join();
  if (drawn === mark) return;
  if (!window.Plotly) return void plotly().then(() => plot(element, run, theme), () => {}); // the other plots say so
  drawn = mark;
  const traces = componentsOf(run).map((name) => {
    const points = [...run.ranks, { ...run.ranks.at(-1), step: end }];
    return line(points.map(({ step }) => step), points.map((point) => sum(ranksOf(run, point, name))), COMPONENT_SHORT[name], color(name), { line: { dash: dashOf(name), shape: "hv" }, trace: { hovertemplate: "%{y}<extra>%{fullData.name}</extra>" } });
  });
  window.Plotly.react(element.querySelector(".plot"), traces, layout(run.id, { rangemode: "tozero" }), CONFIG);
}

let themes = 0;

function show(element) {
  const run = state.run;
  const shown = state.step === "train" && run?.modules.length > 0 && run.ranks.length > 0;
  element.classList.toggle("off-stage", !shown);
  if (!shown) return;
  draw(element.querySelector(".at"), at.slider(run));
  draw(element.querySelector(".body"), body(run, at.point(run)));
  draw(element.querySelector(".legend"), dashLegend(componentsOf(run)));
  requestAnimationFrame(() => plot(element, run, themes)); // once the step is laid out
}

export function mountRanks(element) {
  element.innerHTML = "";
  drawNow(element, html`<div class="card"><div class="cap"><strong>Where rank went</strong><span class="plot-tools"><span class="at"></span></span></div>
    <div class="ranks"><div class="body"></div><div class="chart"><h3>Rank held by each component</h3><div class="plot" id="plot-ranks" role="figure" aria-label="Rank held by each component over steps; the table gives the numbers"></div><p class="legend"></p></div></div></div>`);
  mountHeat(element);
  at.listen(element);
  document.addEventListener("studio-theme", () => {
    themes += 1;
    show(element);
  });
  subscribe(() => show(element), "run", "step");
}
