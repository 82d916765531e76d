// The picture of the model as the switchboard: each part with its size, its toggles and a strip of its layers.

import { state, subscribe, update } from "./store.js";
import { draw, html } from "./html.js";
import { activePreset, applyPreset, choice, extent, toggleCell, toggleModules } from "./model.js";
import { alphaRefused, COMPONENT_HELP, COMPONENT_NAME, NO_SUCH_PART, rankRefused, ROLE_HELP, ROLE_NAME } from "./words.js";
import { short } from "./format.js";

const EYE = html`<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.6" aria-hidden="true"><rect x="3" y="4" width="18" height="16" rx="2"/><circle cx="9" cy="10" r="2"/><path d="M4 18l5-5 3 3 4-5 5 6"/></svg>`;
const SPEECH = html`<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.6" aria-hidden="true"><path d="M4 5h16v11H10l-5 4v-4H4z"/><path d="M8 9h8M8 12h5"/></svg>`;
const DISABLED = html`disabled`;
const PRESSED = { none: "false", some: "mixed", all: "true" };

function toggle(part, role, chosen) {
  const modules = part.own.filter((module) => module.role === role && module.adaptable);
  const label = part.roles.length === 1 && role === "mlp" && part.component === "projector" ? "Linear" : ROLE_NAME[role];
  return html`<button data-cell="${part.component}.${role}" data-key="${part.component}.${role}" title="${ROLE_HELP[role]} ${modules.length} modules."
    aria-label="${COMPONENT_NAME[part.component]}: ${label}" aria-pressed="${PRESSED[extent(modules, chosen)]}">${label}</button>`;
}

function strip(part, interactive, chosen) {
  if (part.layers.length < 2) return "";
  const cells = part.layers.map(([, modules]) => extent(modules, chosen));
  const learning = cells.filter((cell) => cell !== "none").length;
  return html`<div class="strip" role="img" aria-label="${learning} of ${part.layers.length} layers learn">
    ${part.layers.map(([layer], i) => html`<span ${interactive ? html`data-layer="${layer}" data-part="${part.component}"` : ""} class="${cells[i]}" title="Layer ${layer}: ${{ none: "frozen", some: "partly learns", all: "learns" }[cells[i]]}${interactive ? ". Click to switch." : ""}"></span>`)}
  </div><div class="strip-cap">${learning} of ${part.layers.length} layers learn</div>`;
}

export function block(part, interactive, chosen = choice()) {
  const how = extent(part.own, chosen);
  const word = { none: "frozen", some: "learns", all: "learns" }[how];
  const layers = part.layers.length > 1 ? `${part.layers.length} layers · ` : "";
  const toggles = part.roles.length
    ? html`<div class="toggles">${part.roles.map((role) => toggle(part, role, chosen))}</div>`
    : html`<p class="size">none: LoRA reaches nothing here</p>`;
  return html`<section class="part ${how === "none" ? "frozen" : "learns"}" data-component="${part.component}" title="${COMPONENT_HELP[part.component]}">
    <h3>${COMPONENT_NAME[part.component]}</h3>
    <div class="size num"><span>${layers}${short(part.params)}</span><span class="state">${word}</span></div>${interactive ? toggles : html`<p class="help">${COMPONENT_HELP[part.component]}</p>`}${strip(part, interactive, chosen)}</section>`;
}

export function picture(model, interactive) {
  const chosen = choice();
  const find = (name) => model.parts.find((part) => part.component === name);
  const line = [find("vision"), find("projector"), find("language")].filter(Boolean);
  const beside = ["cross_attention", "audio", "other"].map(find).filter((part) => part && (part.roles.length || part.component !== "other"));
  return html`<div class="flow"><div class="io">${EYE}picture</div>
    ${line.map((part) => html`<div class="arrow" aria-hidden="true">→</div>${block(part, interactive, chosen)}`)}
    <div class="arrow" aria-hidden="true">→</div><div class="io">${SPEECH}answer</div></div>
    ${beside.map((part) => html`<div class="across"><p class="soft small">${part.component === "cross_attention" ? "vision ⤳ language" : ""}</p>${block(part, interactive, chosen)}</div>`)}`;
}

const RANKS = [4, 8, 16, 32, 64];

function knobs() {
  const scale = state.alpha / state.rank;
  return html`<div class="knobs">
    <div class="knob"><label for="rank">Rank</label><div class="row"><input id="rank" data-key="rank" type="number" min="1" max="4096" step="1" value="${state.rank}">
      ${RANKS.map((rank) => html`<button data-rank="${rank}" data-key="rank-${rank}" aria-pressed="${String(rank === state.rank)}" aria-label="Rank ${rank}">${rank}</button>`)}</div>
      <small>How much each layer can learn. 8 or 16 suits most tasks.</small></div>
    <div class="knob"><label for="alpha">Alpha</label><div class="row"><input id="alpha" data-key="alpha" type="number" min="0.001" step="any" value="${state.alpha}"></div>
      <small>How strongly it is applied: alpha ÷ rank = ${Number(scale.toPrecision(3))}×. Twice the rank is common.</small></div></div>
    ${state.knobError && html`<div class="note bad" role="alert" style="margin-top:12px">${state.knobError}</div>`}`;
}

function presets() {
  const active = activePreset();
  const missing = state.model.presets.filter((preset) => !preset.cells.length).map((preset) => preset.title);
  return html`<div class="chips" role="group" aria-label="Presets">${state.model.presets.map((preset) => html`
    <button data-preset="${preset.name}" data-key="preset-${preset.name}" title="${preset.cells.length ? preset.why : NO_SUCH_PART}" aria-pressed="${String(preset === active)}" ${preset.cells.length ? "" : DISABLED}>${preset.title}</button>`)}</div>
    ${missing.length > 0 && html`<p class="small soft">${missing.join(", ")}: ${NO_SUCH_PART}</p>`}
    ${active && html`<p class="small soft preset-why">${active.why}</p>`}`;
}

function onClick(event) {
  const { preset, cell, rank, layer, part } = event.target.closest("[data-preset],[data-cell],[data-rank],[data-layer]")?.dataset ?? {};
  if (preset) applyPreset(state.model.presets.find((each) => each.name === preset));
  if (cell) toggleCell(cell);
  if (rank) setRank(Number(rank));
  if (layer) toggleModules(state.model.parts.find((each) => each.component === part).layers.find(([index]) => index === Number(layer))[1]);
}

const MOST_ALPHA = 65536; // as in core/spec.py

function setRank(rank) {
  const ratio = state.alpha / state.rank; // the strength stays when the rank changes
  update({ rank, alpha: Math.min(MOST_ALPHA, Number((rank * ratio).toPrecision(6))), knobError: null });
}

function onInput(event) {
  const { id, value } = event.target;
  const number = Number(value);
  if (id !== "rank" && id !== "alpha") return;
  const good = id === "rank" ? Number.isInteger(number) && number >= 1 && number <= 4096 : number > 0 && number <= MOST_ALPHA;
  if (!good) {
    event.target.value = state[id];
    return update({ knobError: id === "rank" ? rankRefused(value) : alphaRefused(value) });
  }
  return id === "rank" ? setRank(number) : update({ alpha: number, knobError: null });
}

// On the first step the picture is to look at; on the second it is the switchboard.
export function mountModelPicture(element) {
  subscribe(() => {
    if (state.modelError) return draw(element, html`<div class="note bad" role="alert"><b>This model cannot be opened.</b>${state.modelError}</div>`);
    if (!state.model) return draw(element, html`<div class="card waiting">Reading what the model is made of…</div>`);
    return draw(element, html`<div class="card"><p class="cap"><span><strong>${state.model.label}</strong> · ${state.model.modelClass} · ${short(state.model.total)} parameters</span></p>${picture(state.model, false)}</div>`);
  }, "model", "modelError", "cells", "include", "exclude");
}

export function mountSwitchboard(element) {
  element.addEventListener("click", onClick);
  element.addEventListener("change", onInput);
  subscribe(() => {
    if (!state.model) return draw(element, html`<div class="card waiting">Waiting for the model…</div>`);
    return draw(element, html`${presets()}<div class="card" style="margin-top:14px">${picture(state.model, true)}${knobs()}</div>`);
  }, "model", "cells", "include", "exclude", "rank", "alpha", "knobError");
}
