// What the charts of a run show: for each its lines, the figure beside its title, and which points it is made of.

import { color, dashOf, line, smooth } from "./plot_parts.js";
import { figure, gib, percent, short } from "./format.js";
import { COMPONENTS, COMPONENT_SHORT, METRIC_NAME, NORM_NAME, isShare } from "./words.js";

export const options = { smoothing: 0.6, log: false, metric: null, norm: "update" };

const known = (value) => value !== null && value !== undefined;
const over = (points, value) => [points.map((point) => point.step), points.map(value)];

function lossTraces(run) {
  const [steps, raw] = over(run.train, (point) => point.loss);
  const held = run.evals.filter((point) => known(point.loss));
  const traces = [
    line(steps, raw, "each step", color("accent"), { opacity: options.smoothing > 0 ? 0.28 : 1, line: { width: 1.4 } }),
    line(steps, smooth(raw, options.smoothing), "smoothed", color("accent")),
    line(...over(held, (point) => point.loss), "held-out", color("warn"), { line: { dash: "dash" }, trace: { mode: "lines+markers" } }),
  ];
  const best = run.best && held.find((point) => point.step === run.best.step);
  if (best) traces.push({ ...line([best.step], [best.loss], "best look", color("warn")), mode: "markers", marker: { symbol: "star", size: 15, color: color("warn"), line: { color: color("card"), width: 1.5 } } });
  return traces;
}

// What the looks measured, the main one first. Jobs of older releases know only the right answers.
export function metricsOf(run) {
  const looks = run.evals.filter((point) => point.metrics);
  const main = looks.at(-1)?.metric ?? "exact_match";
  const found = new Set(looks.flatMap((point) => Object.keys(point.metrics)));
  found.delete("majority"); // a line beside the others
  return [main, ...[...found].filter((name) => name !== main)];
}

export const shownMetric = (run) => (metricsOf(run).includes(options.metric) ? options.metric : metricsOf(run)[0]);

const measured = (point, name) => point.metrics?.[name] ?? (name === "exact_match" ? point.exact_match : null);

export const inMetric = (name, value) => (isShare(name) ? percent(value) : figure(value));

// What always giving the most common answer would score, where this is known of the metric.
function guessing(run, name) {
  if (!["exact_match", "accuracy"].includes(name)) return null;
  return run.status.majority ?? run.evals.at(-1)?.metrics?.majority ?? null;
}

function metricTraces(run) {
  const name = shownMetric(run);
  const looks = run.evals.filter((point) => known(measured(point, name)));
  const [x, y] = over(looks, (point) => measured(point, name));
  const end = Math.max(run.status.total_steps || 0, ...x, 1);
  const flat = (value) => [[0, end], [value, value]];
  const base = looks.find((point) => point.step === 0); // of the same rows as the points
  const reading = isShare(name) ? "%{y:.1%}" : "%{y:.4g}";
  const traces = [line(x, y, "now", color("ok"), { trace: { mode: "lines+markers", hovertemplate: `${reading}<extra>%{fullData.name}</extra>` } })];
  if (base) traces.push(line(...flat(measured(base, name)), "base model", color("soft"), { line: { dash: "dash", width: 1.6 } }));
  if (guessing(run, name)) traces.push(line(...flat(guessing(run, name)), "guessing", color("edge"), { line: { dash: "dot", width: 1.6 } }));
  return traces;
}

// Shares lie between nothing and all, error rates begin at nothing and may go beyond.
const metricAxis = (run) => (isShare(shownMetric(run)) ? { range: [-0.03, 1.03], tickformat: ".0%" } : { rangemode: "tozero" });

// The components that the norms are known of, in the order of the picture of the model.
export const componentsOf = (run) => COMPONENTS.filter((name) => run.norms.some((point) => known(point[options.norm]?.[name])));

function normTraces(run) {
  if (!run.norms.length) return [line(...over(run.train, (point) => point.grad_norm), "gradient norm", color("ink"), { line: { width: 1.8 } })];
  const points = run.norms.filter((point) => point[options.norm]); // a step may know one norm and not another
  return componentsOf(run).map((name) => {
    const [x, y] = over(points, (point) => point[options.norm][name] || null); // nothing has no place on a scale of powers
    return line(x, smooth(y, options.smoothing), COMPONENT_SHORT[name], color(name), { line: { width: 2, dash: dashOf(name) } });
  });
}

export const lastNorm = (run, name) => figure(run.norms.findLast((point) => known(point[options.norm]?.[name]))?.[options.norm][name]);

function lastNorms(run) {
  if (!run.norms.length) return figure(run.train.at(-1)?.grad_norm);
  return componentsOf(run).map((name) => `${COMPONENT_SHORT[name]} ${lastNorm(run, name)}`).join(" · ");
}

const speeds = (run) => run.train.filter((point) => known(point.rows_per_second));

function lastSpeed(run) {
  const last = speeds(run).at(-1);
  if (!last) return "–";
  return [`${figure(last.rows_per_second)} rows/s`, last.tokens_per_second && `${short(Math.round(last.tokens_per_second))} tokens/s`].filter(Boolean).join(" · ");
}

const GIB = 2 ** 30;
const memories = (run) => run.train.filter((point) => known(point.host_memory) || known(point.device_memory));
const inGib = (points, key) => over(points, (point) => (known(point[key]) ? point[key] / GIB : null));

function memoryTraces(run) {
  const points = memories(run);
  const told = { trace: { hovertemplate: "%{y:.2f} GiB<extra>%{fullData.name}</extra>" } };
  const traces = [];
  if (points.some((point) => known(point.device_memory))) traces.push(line(...inGib(points, "device_memory"), "device, at its peak", color("accent"), told));
  if (points.some((point) => known(point.host_memory))) traces.push(line(...inGib(points, "host_memory"), "host", color("soft"), { ...told, line: { dash: "dash", width: 1.8 } }));
  return traces;
}

function lastMemory(run) {
  const last = memories(run).at(-1);
  return last ? [known(last.device_memory) && `device ${gib(last.device_memory)}`, known(last.host_memory) && `host ${gib(last.host_memory)}`].filter(Boolean).join(" · ") : "–";
}

const scale = () => (options.log ? { type: "log" } : { type: "linear", rangemode: "tozero" });

// `from`: what the chart is made of; while that stays the same it need not be drawn again.
export const CHARTS = [
  { id: "loss", title: () => "Loss", traces: lossTraces, last: (run) => figure(run.train.at(-1)?.loss), from: (run) => [run.train.length, run.evals.length, run.best?.step, options.smoothing, options.log], y: () => scale(), scaled: () => options.log },
  { id: "answers", title: (run) => `${METRIC_NAME[shownMetric(run)] ?? shownMetric(run)} on the way`, traces: metricTraces, last: (run) => inMetric(shownMetric(run), measured(run.evals.at(-1) ?? {}, shownMetric(run))), from: (run) => [run.evals.length, run.status.majority, run.status.total_steps, shownMetric(run)], y: metricAxis, scaled: shownMetric },
  { id: "norm", title: (run) => (run.norms.length ? `${NORM_NAME[options.norm][0]} norm by component` : "Gradient norm"), traces: normTraces, last: lastNorms, inLegend: (run) => run.norms.length > 0, from: (run) => [run.norms.length || run.train.length, options.norm, options.smoothing], y: (run) => (run.norms.length ? { type: "log", tickformat: "~e", nticks: 6 } : { rangemode: "tozero" }), scaled: () => options.norm },
  { id: "memory", title: () => "Memory", traces: memoryTraces, last: lastMemory, from: (run) => [memories(run).length], y: () => ({ rangemode: "tozero", ticksuffix: " GiB" }), shown: (run) => memories(run).length > 0 },
  { id: "speed", title: () => "Throughput", traces: (run) => [line(...over(speeds(run), (point) => point.rows_per_second), "rows per second", color("ok"), { line: { width: 1.8 } })], last: lastSpeed, from: (run) => [speeds(run).length], y: () => ({ rangemode: "tozero" }), small: true, shown: (run) => speeds(run).length > 0 },
  { id: "rate", title: () => "Learning rate", traces: (run) => [line(...over(run.train, (point) => point.learning_rate), "learning rate", color("accent"), { line: { width: 1.8 } })], last: (run) => figure(run.train.at(-1)?.learning_rate), from: (run) => [run.train.length], y: () => ({ rangemode: "tozero", tickformat: "~g" }), small: true },
];
