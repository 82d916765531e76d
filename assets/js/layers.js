// A component's layers: a strip that shows which of them learn, and two handles on it that narrow them to a range.

import { drawNow, html } from "./html.js";
import { extent, layersOf, setLayers, toggleModules } from "./choice.js";
import { state } from "./store.js";
import { partOf } from "./model.js";
import { COMPONENT_NAME, layersInWords } from "./words.js";

const GAP = 0.12; // of a layer's width
const CROWDED = 80; // from so many layers on a gap would be thinner than a pixel: neighbours that fare alike are one shape

// One path for all layers of a kind, however many there are.
function shapes(kinds, wanted, top, height) {
  const gap = kinds.length < CROWDED ? GAP : 0;
  let path = "";
  for (let i = 0; i < kinds.length; i += 1) {
    const from = i;
    if (kinds[i] !== wanted) continue;
    while (!gap && kinds[i + 1] === wanted) i += 1;
    path += `M${from + gap / 2} ${top}h${i + 1 - from - gap}v${height}H${from + gap / 2}z`;
  }
  return path;
}

export function strip(part, interactive) {
  const kinds = part.layers.map(([, modules]) => extent(modules));
  const learning = kinds.filter((kind) => kind !== "none").length;
  return html`<svg class="strip" viewBox="0 0 ${kinds.length} 1" preserveAspectRatio="none" role="img" data-strip="${part.component}" aria-label="${learning} of ${kinds.length} layers learn">
    <title>${learning} of ${kinds.length} layers learn${interactive ? ". Click one to switch it." : ""}</title>
    <path class="none" d="${shapes(kinds, "none", 0, 1)}"/><path class="rest" d="${shapes(kinds, "some", 0, 1)}"/><path class="some" d="${shapes(kinds, "some", 0.5, 0.5)}"/><path class="all" d="${shapes(kinds, "all", 0, 1)}"/></svg>`;
}

function caption(part) {
  const kinds = part.layers.map(([, modules]) => extent(modules));
  const learning = kinds.filter((kind) => kind !== "none").length;
  const [from, upTo, all] = layersOf(part.component);
  const narrowed = from > 0 || upTo < all;
  const said = narrowed && (learning === upTo - from || !learning) ? layersInWords(from, upTo, all) : `${learning} of ${all} layers learn`;
  return html`<span>${said}</span>${narrowed && html`<button class="plain" data-all-layers="${part.component}" data-key="all-layers-${part.component}" aria-label="${COMPONENT_NAME[part.component]}: all layers">all layers</button>`}`;
}

function handle(part, which, value, all) {
  const layer = part.layers[which === "from" ? value : value - 1]?.[0];
  return html`<input type="range" data-range="${part.component}" data-which="${which}" data-key="range-${part.component}-${which}" min="0" max="${all}" step="1" value="${value}"
    aria-label="${COMPONENT_NAME[part.component]}: ${which === "from" ? "first" : "last"} layer that may learn" aria-valuetext="layer ${layer}">`;
}

export function layerRange(part) {
  if (part.layers.length < 2) return "";
  const [from, upTo, all] = layersOf(part.component);
  return html`<div class="range" data-component="${part.component}"><div class="range-strip">${strip(part, true)}</div>${handle(part, "from", from, all)}${handle(part, "to", upTo, all)}</div>
    <div class="strip-cap">${caption(part)}</div>`;
}

// A handle was moved: the range follows, and so does what is seen of it while the hand is still on it.
export function onRange(input) {
  const part = partOf(state.model, input.dataset.range);
  const [from, upTo, all] = layersOf(part.component);
  const wanted = Number(input.value);
  const [a, b] = input.dataset.which === "from" ? [Math.min(wanted, upTo - 1), upTo] : [from, Math.max(wanted, from + 1)];
  const value = input.dataset.which === "from" ? a : b;
  if (value !== wanted) input.value = value;
  if (a === from && b === upTo) return;
  const box = input.closest(".part");
  setLayers(part.component, a, b);
  if (!box.isConnected) return;
  drawNow(box.querySelector(".range-strip"), strip(part, true));
  drawNow(box.querySelector(".strip-cap"), caption(part));
  input.setAttribute("aria-valuetext", `layer ${part.layers[input.dataset.which === "from" ? a : b - 1]?.[0]}`);
}

// A click on the strip switches the layer below the pointer.
export function onStrip(strip, x) {
  const part = partOf(state.model, strip.dataset.strip);
  const { left, width } = strip.getBoundingClientRect();
  const at = Math.min(part.layers.length - 1, Math.max(0, Math.floor(((x - left) / width) * part.layers.length)));
  toggleModules(part.layers[at][1]);
}

export const allLayers = (component) => setLayers(component, 0, partOf(state.model, component).layers.length);
