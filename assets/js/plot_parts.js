// What every plot is made of: colours of the theme, lines that tell themselves apart by their dashes too, thinned and smoothed.

import { html } from "./html.js";
import { COMPONENT_SHORT } from "./words.js";

export const color = (name) => getComputedStyle(document.body).getPropertyValue(`--${name}`).trim();

// Component -> dashes, as Plotly and as SVG write them: a line is known without its colour.
const DASHES = {
  vision: ["solid", "none"], projector: ["dot", "2 3"], language: ["dash", "7 3"],
  cross_attention: ["dashdot", "7 3 2 3"], audio: ["longdash", "11 3"], other: ["longdashdot", "11 3 2 3"],
};
export const dashOf = (component) => (DASHES[component] ?? DASHES.other)[0];

// Which line is which component's; `told` adds its newest value.
export const dashLegend = (components, told = () => "") => html`${components.map((name) => html`<span data-component="${name}"><svg class="dashes" viewBox="0 0 30 4" aria-hidden="true"><path d="M0 2H30" stroke="var(--c)" stroke-width="3" stroke-dasharray="${(DASHES[name] ?? DASHES.other)[1]}"/></svg>${COMPONENT_SHORT[name]} <b class="num">${told(name)}</b></span>`)}`;

// Exponential moving average with the start corrected (Kingma & Ba, arXiv:1412.6980, section 3).
export function smooth(values, weight) {
  let [mean, all] = [0, 1];
  return values.map((value) => {
    if (!Number.isFinite(value)) return null; // a loss that was no number is a gap, and what follows goes on
    mean = weight * mean + (1 - weight) * value;
    all *= weight;
    return mean / (1 - all);
  });
}

// A screen has no more than so many columns: of each only the lowest and the highest value are drawn, so that no peak is lost.
const MOST = 800;

export function thin(x, y) {
  if (y.length <= MOST) return [x, y];
  const stride = Math.ceil((2 * y.length) / MOST);
  const kept = [];
  for (let from = 0; from < y.length; from += stride) {
    const end = Math.min(from + stride, y.length);
    let [low, high, gap] = [from, from, -1];
    for (let i = from; i < end; i += 1) {
      if (y[i] === null || y[i] === undefined) gap = i;
      else if (!(y[i] >= y[low])) low = i;
      if (y[i] > (y[high] ?? -Infinity)) high = i;
    }
    kept.push(...new Set([low, high, ...(gap >= 0 ? [gap] : []), ...(end === y.length ? [end - 1] : [])].sort((a, b) => a - b)));
  }
  return [kept.map((i) => x[i]), kept.map((i) => y[i])];
}

export function line(x, y, name, stroke, more = {}) {
  const [steps, values] = thin(x, y);
  return { x: steps, y: values, name, mode: "lines", type: "scatter", line: { color: stroke, width: 2.4, ...more.line }, opacity: more.opacity ?? 1, hovertemplate: "%{y:.4g}<extra>%{fullData.name}</extra>", ...more.trace };
}

export const CONFIG = { displaylogo: false, responsive: true, displayModeBar: matchMedia("(hover: none)").matches ? false : "hover", modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };

// `revision`: a zoom is kept for as long as it stays the same.
export function layout(revision, y = {}) {
  const axis = { gridcolor: color("line"), zerolinecolor: color("line"), linecolor: color("line"), tickfont: { color: color("soft"), size: 11 } };
  return {
    margin: { l: 46, r: 8, t: 8, b: 30 }, showlegend: false, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "IBM Plex Sans, system-ui, sans-serif", color: color("soft") }, hovermode: "x unified",
    hoverlabel: { bgcolor: color("card"), bordercolor: color("edge"), font: { color: color("ink") } },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: color("edge"), activecolor: color("accent") },
    uirevision: revision,
    xaxis: { ...axis, title: { text: "step", font: { size: 11 }, standoff: 4 }, rangemode: "tozero" },
    yaxis: { ...axis, ...y },
  };
}
