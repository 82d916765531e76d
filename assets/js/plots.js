// The live plots. A chart is made once and then only gets its data exchanged, so that zoom and legend choices survive.

import { state, subscribe, update } from "./store.js";
import { plotly } from "./api.js";
import { draw, html } from "./html.js";
import { figure, percent } from "./format.js";

const options = { smoothing: 0.6, log: false };
const CONFIG = { displaylogo: false, responsive: true, displayModeBar: matchMedia("(hover: none)").matches ? false : "hover", modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };

const color = (name) => getComputedStyle(document.body).getPropertyValue(`--${name}`).trim();

// Exponential moving average with the start corrected (Kingma & Ba, arXiv:1412.6980, section 3).
function smooth(values, weight) {
  let mean = 0;
  return values.map((value, i) => {
    mean = weight * mean + (1 - weight) * value;
    return mean / (1 - weight ** (i + 1));
  });
}

// Long runs are drawn thinned out: a screen has no more than so many columns.
const MOST = 1500;

function thin(values) {
  const stride = Math.ceil(values.length / MOST);
  return stride <= 1 ? values : values.filter((_, i) => i % stride === 0 || i === values.length - 1);
}

const line = (x, y, name, stroke, more = {}) => ({ x: thin(x), y: thin(y), name, mode: "lines", type: "scatter", line: { color: stroke, width: 2.4, ...more.line }, opacity: more.opacity ?? 1, hovertemplate: "%{y:.4g}<extra>%{fullData.name}</extra>", ...more.trace });

function lossTraces(run) {
  const steps = run.train.map((point) => point.step);
  const raw = run.train.map((point) => point.loss);
  const held = run.evals.filter((point) => point.loss !== null && point.loss !== undefined);
  return [
    line(steps, raw, "each step", color("accent"), { opacity: options.smoothing > 0 ? 0.28 : 1, line: { width: 1.4 } }),
    line(steps, smooth(raw, options.smoothing), "smoothed", color("accent")),
    line(held.map((p) => p.step), held.map((p) => p.loss), "held-out", color("warn"), { line: { dash: "dash" }, trace: { mode: "lines+markers" } }),
  ];
}

function answerTraces(run) {
  const x = run.evals.map((point) => point.step);
  const end = Math.max(run.status.total_steps || 0, ...x, 1);
  const flat = (value) => [[0, end], [value, value]];
  const base = run.evals.find((point) => point.step === 0)?.exact_match; // of the same rows as the points
  const traces = [line(x, run.evals.map((p) => p.exact_match), "now", color("ok"), { trace: { mode: "lines+markers", hovertemplate: "%{y:.1%}<extra>%{fullData.name}</extra>" } })];
  if (base !== undefined && base !== null) traces.push(line(...flat(base), "base model", color("soft"), { line: { dash: "dash", width: 1.6 } }));
  if (run.status.majority) traces.push(line(...flat(run.status.majority), "guessing", color("edge"), { line: { dash: "dot", width: 1.6 } }));
  return traces;
}

const single = (key, name, stroke) => (run) => [line(run.train.map((p) => p.step), run.train.map((p) => p[key]), name, color(stroke), { line: { width: 1.8 } })];

const CHARTS = [
  { id: "loss", title: "Loss", traces: lossTraces, last: (run) => figure(run.train.at(-1)?.loss), logs: true },
  { id: "answers", title: "Right answers on the way", traces: answerTraces, last: (run) => percent(run.evals.at(-1)?.exact_match), y: { range: [-0.03, 1.03], tickformat: ".0%" } },
  { id: "rate", title: "Learning rate", traces: single("learning_rate", "learning rate", "language"), last: (run) => figure(run.train.at(-1)?.learning_rate), small: true, y: { rangemode: "tozero", tickformat: "~e" } },
  { id: "norm", title: "Gradient norm", traces: single("grad_norm", "gradient norm", "vision"), last: (run) => figure(run.train.at(-1)?.grad_norm), small: true, y: { rangemode: "tozero" } },
];

function layout(chart, run) {
  const axis = { gridcolor: color("line"), zerolinecolor: color("line"), linecolor: color("line"), tickfont: { color: color("soft"), size: 11 } };
  const kind = chart.logs && options.log ? "log" : "linear";
  return {
    margin: { l: 46, r: 8, t: 8, b: 30 }, showlegend: false, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "IBM Plex Sans, system-ui, sans-serif", color: color("soft") }, hovermode: "x unified",
    hoverlabel: { bgcolor: color("card"), bordercolor: color("edge"), font: { color: color("ink") } },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: color("edge"), activecolor: color("accent") },
    uirevision: `${run.id}-${kind}`, // a zoom is kept until the job or the scale changes
    xaxis: { ...axis, title: { text: "step", font: { size: 11 }, standoff: 4 }, rangemode: "tozero" },
    yaxis: { ...axis, ...(chart.y ?? (kind === "linear" ? { rangemode: "tozero" } : {})), type: kind },
  };
}

const LEGEND = html`<p class="legend"><span style="--k:var(--accent)"><i></i>training loss</span><span style="--k:var(--warn)"><i class="dash"></i>held-out loss</span>
  <span style="--k:var(--ok)"><i></i>right answers now</span><span style="--k:var(--soft)"><i class="dash"></i>base model</span><span style="--k:var(--edge)"><i class="dots"></i>guessing the most common answer</span></p>`;

function frame(element) {
  element.innerHTML = "";
  draw(element, html`<div class="card"><div class="cap"><strong>How it learns</strong><span class="plot-tools">
    <label>smoothing <input id="smoothing" type="range" min="0" max="0.95" step="0.05" value="${options.smoothing}"></label>
    <label><input id="log-scale" type="checkbox" ${options.log ? html`checked` : ""}> log scale</label><button id="whole" class="small">show all</button></span></div>
    <div class="charts">${CHARTS.map((chart) => html`<div class="chart ${chart.small && "small-chart"}"><h3>${chart.title}<span class="num" data-last="${chart.id}"></span></h3><div class="plot" id="plot-${chart.id}" role="figure" aria-label="${chart.title} over steps"></div></div>`)}</div>${LEGEND}</div>`);
}

function refresh(element) {
  const run = state.run;
  const shown = state.step === "train" && run && (run.train.length || run.evals.length);
  element.classList.toggle("off-stage", !shown);
  if (!shown || !window.Plotly) return shown && plotly().then(() => refresh(element), (error) => update({ startError: error.message }));
  if (!element.querySelector(".plot")) frame(element);
  for (const chart of CHARTS) {
    element.querySelector(`[data-last="${chart.id}"]`).textContent = chart.last(run);
    const label = element.querySelector(`#plot-${chart.id}`);
    label.setAttribute("aria-label", `${chart.title} over steps, now ${chart.last(run)}`);
    window.Plotly.react(label, chart.traces(run), layout(chart, run), CONFIG);
  }
  return true;
}

// Plotly takes a second or two to run: it does so while the page is at rest, so that the first point need not wait.
function loadWhenIdle() {
  const load = () => plotly().catch(() => {}); // said when a plot is to be drawn and it is still not there
  if (window.requestIdleCallback) window.requestIdleCallback(load, { timeout: 3000 });
  else setTimeout(load, 1000);
  return true;
}

export function mountPlots(element) {
  element.addEventListener("input", (event) => {
    if (event.target.id === "smoothing") options.smoothing = Number(event.target.value);
    if (event.target.id === "log-scale") options.log = event.target.checked;
    refresh(element);
  });
  element.addEventListener("click", (event) => {
    if (event.target.id !== "whole") return;
    for (const chart of CHARTS) window.Plotly.relayout(`plot-${chart.id}`, { "xaxis.autorange": true, ...(chart.y?.range ? { "yaxis.range": chart.y.range } : { "yaxis.autorange": true }) });
  });
  document.addEventListener("studio-theme", () => refresh(element));
  let [drawn, early] = [null, false];
  subscribe((now) => {
    if (now.model && !early) early = loadWhenIdle();
    const mark = [now.step, now.run?.id, now.run?.next, now.run?.status.state].join();
    // With the next frame: only then is the step laid out, and a chart that is drawn unseen gets a width of its own.
    if (mark !== drawn) requestAnimationFrame(() => refresh(element));
    drawn = mark;
  }, "run", "step", "model");
}
