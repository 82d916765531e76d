// The proof: how far each component and each layer moved, relative to its weights, and that everything else is
// bit-identical to what it was.

import { state, subscribe } from "./store.js";
import { draw, html } from "./html.js";
import { SCALE, bounds, heat, mountHeat, strength } from "./heat.js";
import { COMPONENTS, COMPONENT_NAME, COMPONENT_SHORT } from "./words.js";
import { bytes, count, figure } from "./format.js";

const ROOM = 12; // so many layers leave room for a number in each cell
const SHORT = 12; // signs of a hash that tell it from another

export function share(ratio) {
  if (ratio === null || ratio === undefined) return "–";
  if (!ratio) return "0%";
  const value = 100 * ratio;
  return value < 0.001 ? `${value.toExponential(1)}%` : value >= 100 ? `${count(Math.round(value))}%` : `${Number(value.toPrecision(2))}%`;
}

const moved = (part) => part.update > 0 || part.ratio > 0;

// What is said of a component: words and a sign, never by the bar alone.
function outcome(part) {
  if (part.chosen && moved(part)) return html`<b>${share(part.ratio)}</b> <span class="soft">of its weights’ norm, by ${count(part.trained)} of ${count(part.modules)} modules</span>`;
  if (part.chosen) return html`<b class="odd">! not moved</b> <span class="soft">though it was to learn</span>`;
  return moved(part) ? html`<b class="bad">✕ changed</b> <span class="soft">though it was not to learn</span>` : html`<b class="ok">✓ unchanged</b> <span class="soft">frozen, as chosen</span>`;
}

function bars(proof) {
  const parts = COMPONENTS.filter((name) => proof.components[name]).map((name) => [name, proof.components[name]]);
  const top = Math.max(...parts.map(([, part]) => part.ratio ?? 0), 1e-12);
  return html`<div class="moved" role="list" aria-label="How far each component moved">${parts.map(([name, part]) => html`<div role="listitem" data-component="${name}"><span class="name"><span class="dot"></span>${COMPONENT_NAME[name]}</span>
    <span class="track ${moved(part) ? "" : "still"}" aria-hidden="true"><i style="width:${(100 * (part.ratio ?? 0)) / top}%"></i></span><span class="said">${outcome(part)}</span></div>`)}</div>`;
}

const lastPart = (name) => name.split(".").at(-1);
const layerName = ({ layer, name }) => (layer === null || layer === undefined ? name : `layer ${layer}`);

// One row a component and a kind of module, one cell a layer.
function rowsOf(modules) {
  const within = bounds(modules.map(({ ratio }) => ratio));
  const rows = new Map();
  modules.forEach((module, place) => {
    const { component, name, layer, ratio, update, weight, used } = module;
    const rank = used === null || used === undefined ? "" : `; uses ${Math.round(100 * used)}% of its rank`;
    const key = `${component}.${lastPart(name)}`;
    if (!rows.has(key)) rows.set(key, { key, name: `${COMPONENT_SHORT[component]}, ${lastPart(name)}`, label: lastPart(name), component, cells: [] });
    rows.get(key).cells.push({ key: `${layer ?? "x"}-${place}`, layer, name: layerName(module), strength: strength(ratio, within), shown: share(ratio), told: `moved by ${share(ratio)} (update ${figure(update)}, weight ${figure(weight)})${rank}`, kind: update > 0 ? "" : "nothing" });
  });
  const sorted = [...rows.values()].sort((a, b) => COMPONENTS.indexOf(a.component) - COMPONENTS.indexOf(b.component));
  const numbers = sorted.every((row) => row.cells.length <= ROOM);
  if (!numbers) for (const row of sorted) row.cells = row.cells.map(({ shown, ...rest }) => rest);
  return [sorted, numbers];
}

function byLayer(modules) {
  if (!modules.length) return "";
  const [rows, numbers] = rowsOf(modules);
  return html`<div class="cap"><strong>By module and layer</strong>${SCALE}</div>${heat("proof", "How far each module moved, relative to its weights; fuller is farther", rows, { numbers, grouped: true })}`;
}

const clipped = (hash) => html`<code>${(hash ?? "").slice(0, SHORT)}</code>`;

function frozen({ tensors, bytes: size, before, after, same, changed = [], count_changed: many = changed.length }) {
  if (!tensors) return html`<p class="note">Nothing was frozen: every weight was to learn.</p>`;
  const whole = html`<details><summary class="small">The whole hashes</summary><p class="mono hash">before ${before}<br>after&nbsp; ${after}</p></details>`;
  if (same) return html`<div class="note ok"><b>✓ Everything else is bit-identical</b>${count(tensors)} frozen ${tensors === 1 ? "tensor" : "tensors"} (${bytes(size)}), hashed before and after: ${clipped(before)} and ${clipped(after)} are the same.${whole}</div>`;
  return html`<div class="note bad" role="alert"><b>✕ Frozen weights have changed</b>${count(many)} of ${count(tensors)} frozen tensors are not what they were: <span class="mono">${changed.slice(0, 5).join(", ")}${many > 5 && ` and ${count(many - 5)} more`}</span>. Please report this.${whole}</div>`;
}

function body(proof) {
  return html`<div class="card proof"><div class="cap"><strong>What changed, and what did not</strong><span>update relative to the weights, measured after the training</span></div>
    ${proof.words && html`<p class="small">${proof.words}</p>`}${bars(proof)}${frozen(proof.frozen)}${byLayer(proof.modules)}</div>`;
}

export function mountProof(element) {
  mountHeat(element);
  subscribe(() => {
    if (state.step !== "result") return;
    const proof = state.run?.proof;
    const shown = Boolean(proof?.frozen && proof.components && proof.modules);
    element.classList.toggle("off-stage", !shown);
    draw(element, shown ? body(proof) : "");
  }, "run", "step");
}
