// The picture of the model as the switchboard: each part with its size, its toggles and a strip of its layers.

import { state, subscribe } from "./store.js";
import { draw, html } from "./html.js";
import { cellExtent, current, extent, isFull, toggleCell } from "./choice.js";
import { RARE, toggle } from "./toggles.js";
import { allLayers, layerRange, onRange, onStrip, strip } from "./layers.js";
import { COMPONENT_HELP, COMPONENT_NAME, SCORING } from "./words.js";
import { short } from "./format.js";
import { mountPresets } from "./presets.js";
import { mountRecipe } from "./recipe.js";
import { mountAdvanced } from "./advanced.js";
import { mountGuesses } from "./guesses.js";

const EYE = html`<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.6" aria-hidden="true"><rect x="3" y="4" width="18" height="16" rx="2"/><circle cx="9" cy="10" r="2"/><path d="M4 18l5-5 3 3 4-5 5 6"/></svg>`;
const SPEECH = html`<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.6" aria-hidden="true"><path d="M4 5h16v11H10l-5 4v-4H4z"/><path d="M8 9h8M8 12h5"/></svg>`;
const TEXT = html`<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.6" aria-hidden="true"><path d="M5 7V5h14v2M12 5v14M9 19h6"/></svg>`;
const SCORE = html`<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.6" aria-hidden="true"><path d="M4 18a9 9 0 1 1 16 0M12 15l4-6"/></svg>`;

function block(part, interactive) {
  const called = state.model.writes ? {} : SCORING;
  const [name, help] = [called.name?.[part.component] ?? COMPONENT_NAME[part.component], called.help?.[part.component] ?? COMPONENT_HELP[part.component]];
  const how = extent(part.own);
  const full = how !== "none" && part.own.every(isFull);
  const word = full ? "learns in full" : how === "none" ? "frozen" : "learns";
  const layers = part.layers.length > 1 ? `${part.layers.length} layers · ` : "";
  const roles = part.roles.filter((role) => !RARE.includes(role) || cellExtent(`${part.component}.${role}`) !== "none");
  const toggles = roles.length
    ? html`<div class="toggles">${roles.map((role) => toggle(part, role))}</div>`
    : html`<p class="size">${part.roles.length ? "only under Advanced" : "none: LoRA reaches nothing here"}</p>`;
  const many = part.layers.length > 1;
  return html`<section class="part ${how === "none" ? "frozen" : "learns"}" data-component="${part.component}" title="${help}">
    <h3>${name}</h3>
    <div class="size num"><span>${layers}${short(part.params)}</span><span class="state">${word}</span></div>${interactive ? (full ? "" : toggles) : html`<p class="help">${help}</p>`}
    ${many && !full ? (interactive ? layerRange(part) : html`<div class="range-strip">${strip(part, false)}</div>`) : ""}</section>`;
}

const ARROW = html`<div class="arrow" aria-hidden="true">→</div>`;
const io = (sign, name) => html`<div class="io">${sign}${name}</div>`;

export function picture(model, interactive) {
  const find = (name) => model.parts.find((part) => part.component === name);
  const draw = (part) => part && html`${ARROW}${block(part, interactive)}`;
  const [vision, projector, language] = ["vision", "projector", "language"].map(find);
  const beside = ["cross_attention", "audio", "other"].map(find).filter((part) => part && (part.roles.length || part.component !== "other"));
  const flow = model.writes ? html`${io(EYE, "picture")}${draw(vision)}${draw(projector)}${draw(language)}${ARROW}${io(SPEECH, "answer")}`
    : html`<div class="lanes"><div class="lane">${io(EYE, "picture")}${draw(vision)}</div><div class="lane">${io(TEXT, "text")}${draw(language)}</div></div>${draw(projector)}${ARROW}${io(SCORE, "score")}`;
  return html`<div class="flow">${flow}</div>
    ${beside.map((part) => html`<div class="across"><p class="soft small">${part.component === "cross_attention" ? "vision ⤳ language" : ""}</p>${block(part, interactive)}</div>`)}`;
}

function onClick(event) {
  const strip = event.target.closest("[data-strip]");
  if (strip) return onStrip(strip, event.clientX);
  const { cell, allLayers: component } = event.target.closest("[data-cell],[data-all-layers]")?.dataset ?? {};
  if (cell) toggleCell(cell);
  if (component) allLayers(component);
  return undefined;
}

const untrainable = () => state.model.untrainable && html`<p class="note looked-at">${state.model.writes ? state.model.untrainable : SCORING.lead}</p>`;

// On the first step the picture is to look at; on the second it is the switchboard.
export function mountModelPicture(element) {
  element.innerHTML = "<div></div><div></div>";
  const [card, notice] = element.children;
  subscribe(() => {
    if (state.modelError) return draw(card, html`<div class="note bad" role="alert"><b>This model cannot be opened.</b>${state.modelError}</div>`);
    if (!current()) return draw(card, html`<div class="card waiting">Reading what the model is made of…</div>`);
    return state.step === "model" && draw(card, html`<div class="card"><p class="cap"><span><strong>${state.model.label}</strong> · ${state.model.modelClass} · ${short(state.model.total)} parameters</span></p>${picture(state.model, false)}${untrainable()}</div>`);
  }, "model", "modelError", "selection", "recipe", "step");
  mountGuesses(notice, "model");
}

export function mountSwitchboard(element) {
  element.innerHTML = '<div class="guessed"></div><div class="presets"></div><div class="card board"><div class="picture"></div><div class="recipe"></div><div class="advanced"></div></div>';
  const find = (name) => element.querySelector(`.${name}`);
  element.addEventListener("click", onClick);
  element.addEventListener("input", (event) => event.target.dataset.range && onRange(event.target));
  mountGuesses(find("guessed"), "targets");
  mountPresets(find("presets"));
  mountRecipe(find("recipe"));
  mountAdvanced(find("advanced"));
  subscribe(() => {
    if (!current()) return draw(find("picture"), html`<div class="waiting">Waiting for the model…</div>`);
    return state.step === "targets" && draw(find("picture"), picture(state.model, true));
  }, "model", "selection", "recipe", "step");
}
