// The live plots. A chart is made once and then only gets its data exchanged, so that zoom survives; one that has nothing
// new is left alone, and each is drawn in a frame of its own, so that the page answers in between.

import { state, subscribe, update } from "./store.js";
import { plotly } from "./api.js";
import { draw, html } from "./html.js";
import { CONFIG, dashLegend, layout } from "./plot_parts.js";
import { CHARTS, componentsOf, lastNorm, metricsOf, options, shownMetric } from "./plot_charts.js";
import { METRIC_NAME, NORM_NAME } from "./words.js";

const LEGENDS = {
  loss: (run) => html`<span style="--k:var(--accent)"><i></i>training</span><span style="--k:var(--warn)"><i class="dash"></i>held-out</span>${run.best && html`<span><b class="star" aria-hidden="true">★</b>best look, step ${run.best.step}</span>`}`,
  answers: () => html`<span style="--k:var(--ok)"><i></i>now</span><span style="--k:var(--soft)"><i class="dash"></i>base model</span>${["exact_match", "accuracy"].includes(shownMetric(state.run)) && html`<span style="--k:var(--edge)"><i class="dots"></i>guessing the most common answer</span>`}`,
  norm: (run) => run.norms.length > 0 && dashLegend(componentsOf(run), (name) => lastNorm(run, name)),
  memory: (run) => html`${run.train.some((point) => point.device_memory) && html`<span style="--k:var(--accent)"><i></i>device, at its peak</span>`}<span style="--k:var(--soft)"><i class="dash"></i>host, this job’s process</span>`,
};

const CONTROLS = {
  answers: (run) => metricsOf(run).length > 1 && html`<select id="metric" data-key="metric" aria-label="What is measured">${metricsOf(run).map((name) => html`<option value="${name}" ${name === shownMetric(run) ? html`selected` : ""}>${METRIC_NAME[name] ?? name}</option>`)}</select>`,
  norm: (run) => run.norms.length > 0 && html`<div class="switch" role="group" aria-label="Norm of">${Object.entries(NORM_NAME).map(([name, [title, help]]) => html`<button data-norm="${name}" data-key="norm-${name}" aria-pressed="${String(options.norm === name)}" title="${help}">${title.toLowerCase()}</button>`)}</div>`,
};

// `shape`: what of a chart stands in the page; the plot itself is never drawn anew by this.
function frame(element) {
  draw(element, html`<div class="card"><div class="cap"><strong>How it learns</strong><span class="plot-tools">
    <label>smoothing <input id="smoothing" type="range" min="0" max="0.95" step="0.05" value="${options.smoothing}"></label>
    <label><input id="log-scale" type="checkbox" ${options.log ? html`checked` : ""}> log scale</label><button id="whole" class="small">show all</button></span></div>
    <div class="charts">${CHARTS.map(({ id, small }) => html`<div class="chart ${small && "small-chart"}" data-chart="${id}"><div class="chart-head"></div><div class="plot" id="plot-${id}" role="figure"></div><p class="legend"></p></div>`)}</div></div>`);
}

function head(chart, run) {
  return html`<h3>${chart.title(run)}${!chart.inLegend?.(run) && html`<span class="num" data-last="${chart.id}">${chart.last(run)}</span>`}</h3>${CONTROLS[chart.id]?.(run) ?? ""}`;
}

const drawn = new Map(); // chart -> what it was drawn from
let epoch = 0; // of the look of all charts: the theme, the width

function refreshChart(element, chart, run) {
  const box = element.querySelector(`[data-chart="${chart.id}"]`);
  const shown = chart.shown?.(run) ?? true;
  box.hidden = !shown;
  if (!shown) return;
  const mark = JSON.stringify([run.id, epoch, chart.from(run)]);
  if (drawn.get(chart.id) === mark) return;
  drawn.set(chart.id, mark);
  draw(box.querySelector(".chart-head"), head(chart, run));
  draw(box.querySelector(".legend"), LEGENDS[chart.id]?.(run) ?? "");
  const plot = box.querySelector(".plot");
  plot.setAttribute("aria-label", `${chart.title(run)} over steps, now ${chart.last(run)}`);
  window.Plotly.react(plot, chart.traces(run), layout(`${run.id}-${chart.scaled?.(run) ?? ""}`, chart.y(run)), CONFIG);
}

const waiting = new Set();

// One chart a frame; those that have waited longest come first.
function next(element) {
  const [chart] = waiting;
  waiting.delete(chart);
  if (waiting.size) requestAnimationFrame(() => next(element));
  if (state.step === "train" && state.run) refreshChart(element, chart, state.run);
}

function refresh(element) {
  const run = state.run;
  const shown = state.step === "train" && run && (run.train.length || run.evals.length);
  element.classList.toggle("off-stage", !shown);
  if (!shown || !window.Plotly) return shown && plotly().then(() => refresh(element), (error) => update({ startError: error.message }));
  if (!element.querySelector(".plot")) frame(element);
  const idle = !waiting.size;
  for (const chart of CHARTS) waiting.add(chart);
  if (idle) requestAnimationFrame(() => next(element)); // only then is the step laid out: a chart drawn unseen gets a width of its own
  return true;
}

// Plotly takes a second or two to run: it does so while the page is at rest, so that the first point need not wait.
function loadWhenIdle() {
  const load = () => plotly().catch(() => {}); // said when a plot is to be drawn and it is still not there
  if (window.requestIdleCallback) window.requestIdleCallback(load, { timeout: 3000 });
  else setTimeout(load, 1000);
  return true;
}

function onInput(element, { target }) {
  if (target.id === "smoothing") options.smoothing = Number(target.value);
  else if (target.id === "log-scale") options.log = target.checked;
  else if (target.id === "metric") options.metric = target.value;
  else return;
  refresh(element);
}

function onClick(element, { target }) {
  const { norm } = target.closest("[data-norm]")?.dataset ?? {};
  if (norm) {
    options.norm = norm;
    refresh(element);
  }
  if (target.id !== "whole") return;
  for (const chart of CHARTS) {
    const { range } = chart.y(state.run);
    const plot = document.getElementById(`plot-${chart.id}`);
    if (plot.data) window.Plotly.relayout(plot, { "xaxis.autorange": true, ...(range ? { "yaxis.range": range } : { "yaxis.autorange": true }) });
  }
}

export function mountPlots(element) {
  element.addEventListener("input", (event) => onInput(element, event));
  element.addEventListener("click", (event) => onClick(element, event));
  document.addEventListener("studio-theme", () => {
    epoch += 1;
    refresh(element);
  });
  let [seen, early] = [null, false];
  subscribe((now) => {
    if (now.model && !early) early = loadWhenIdle();
    const mark = [now.step, now.run?.id, now.run?.next, now.run?.status.state].join();
    if (mark !== seen) refresh(element);
    seen = mark;
  }, "run", "step", "model");
}
