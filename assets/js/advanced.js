// What few people need: where LoRA begins, dropout, numbers for one component, rare targets, training in full.

import { state, subscribe, update } from "./store.js";
import { draw, html } from "./html.js";
import { cook, current, setKnob, trainInFull } from "./choice.js";
import { refusalsAt } from "./advice.js";
import { readKnob } from "./knobs.js";
import { RARE, toggle } from "./toggles.js";
import { COMPONENT_NAME, COMPONENT_SHORT, STARTS } from "./words.js";

const COLUMNS = [["rank", "rank"], ["alpha", "alpha"], ["dropout", "dropout"], ["learning_rate", "learning rate"]];

// What a component gets where nothing of its own was given; alpha follows a rank of its own.
function inherited(component, name) {
  const { rank, alpha, dropout, components } = state.recipe;
  const own = components[component] ?? {};
  return { rank, alpha: Number(((alpha * (own.rank ?? rank)) / rank).toPrecision(6)), dropout, learning_rate: state.form.learning_rate ?? "as set" }[name];
}

function componentRow(part) {
  const { component } = part;
  const own = state.recipe.components[component] ?? {};
  const full = state.selection.full.includes(component);
  return html`<tr data-component="${component}"><th scope="row"><span class="dot"></span>${COMPONENT_SHORT[component]}</th>${COLUMNS.map(([name, title]) => html`
    <td><input type="text" inputmode="decimal" data-knob="${name}" data-component="${component}" data-key="knob-${component}-${name}" aria-label="${COMPONENT_NAME[component]}: ${title}" placeholder="${inherited(component, name)}" value="${own[name] ?? ""}" ${full && name !== "learning_rate" ? html`disabled` : ""}></td>`)}
    <td class="mid"><input type="checkbox" data-full="${component}" data-key="full-${component}" aria-label="${COMPONENT_NAME[component]}: train in full" ${full ? html`checked` : ""}></td></tr>`;
}

function table() {
  return html`<div class="scroll"><table class="per"><caption>Per component <span>an empty field takes the number for all</span></caption>
    <thead><tr><th scope="col"><span class="visually-hidden">component</span></th>${COLUMNS.map(([, title]) => html`<th scope="col">${title}</th>`)}<th scope="col">in full</th></tr></thead>
    <tbody>${state.model.parts.filter((part) => part.roles.length || part.component === "projector").map(componentRow)}</tbody></table></div>`;
}

function rareToggles() {
  const rows = state.model.parts.map((part) => [part, part.roles.filter((role) => RARE.includes(role))]).filter(([, roles]) => roles.length);
  if (!rows.length) return "";
  return html`<div class="rare"><b>Rarely worth training</b>${rows.map(([part, roles]) => html`<div class="toggles" data-component="${part.component}"><span class="small soft">${COMPONENT_SHORT[part.component]}</span>${roles.map((role) => toggle(part, role))}</div>`)}</div>`;
}

function inFull() {
  const { full } = state.selection;
  if (!full.length) return html`<p class="small soft">“In full” trains every parameter of a component, without LoRA: usual for a projector only. A single module can be trained in full from the tree.</p>`;
  return html`<div class="in-full"><p class="small">In full: ${full.map((name, i) => html`<button class="tag" data-not-full="${name}" data-key="not-full-${i}" aria-label="No longer in full: ${name}"><span class="mono">${name}</span> ✕</button>`)}</p>
    <label class="field">learning rate of what is trained in full <input type="text" inputmode="decimal" id="full-rate" data-key="full-rate" placeholder="as set" value="${state.recipe.full_learning_rate ?? ""}"></label>
    <p class="small soft">A tenth of LoRA's is commonly used.</p></div>`;
}

function body() {
  const { start, dropout, lora_bias: bias } = state.recipe;
  return html`<div class="fields">
    <label class="field">Start<select id="start-from" data-key="start-from">${STARTS.map(([name, title]) => html`<option value="${name}" ${name === start ? html`selected` : ""}>${title}</option>`)}</select><small>${STARTS.find(([name]) => name === start)[2]}</small></label>
    <label class="field">Dropout<input id="dropout" data-key="dropout" type="number" min="0" max="0.99" step="0.05" value="${dropout}"><small>Share of LoRA's input that is left out at random. 0 or 0.1 is usual.</small></label>
    <label class="field check"><span><input id="lora-bias" data-key="lora-bias" type="checkbox" ${bias ? html`checked` : ""}> LoRA bias</span><small>LoRA's second matrix gets a bias that learns as well.</small></label></div>
    ${refusalsAt("start", "dropout", "lora_bias")}
    ${table()}${refusalsAt("components")}${inFull()}${refusalsAt("full")}${rareToggles()}`;
}

// What differs from the usual, so that nothing is hidden in the fold.
function summary() {
  const { start, dropout, lora_bias: bias, components } = state.recipe;
  const parts = [
    start !== "default" && `start ${STARTS.find(([name]) => name === start)[1]}`, dropout > 0 && `dropout ${dropout}`, bias && "LoRA bias",
    ...Object.entries(components).map(([name, own]) => `${COMPONENT_SHORT[name]} ${Object.entries(own).map(([knob, value]) => `${knob.replace("_", " ")} ${value}`).join(", ")}`),
    state.selection.full.length && `in full: ${state.selection.full.join(", ")}`,
  ].filter(Boolean);
  return parts.length ? html`<b>Advanced</b> <span class="soft">${parts.join(" · ")}</span>` : html`<b>Advanced</b>`;
}

const refuse = (target, refused, before) => {
  target.value = before ?? "";
  update({ knobError: refused });
};

function onChange({ target }) {
  const { knob, component, full } = target.dataset;
  if (full) return trainInFull([full], target.checked);
  if (target.id === "start-from") return cook({ start: target.value });
  if (target.id === "lora-bias") return cook({ lora_bias: target.checked });
  if (knob) {
    const { value, refused } = readKnob(knob, target.value, true);
    return refused ? refuse(target, refused, state.recipe.components[component]?.[knob]) : setKnob(component, knob, value);
  }
  if (target.id === "dropout") {
    const { value, refused } = readKnob("dropout", target.value);
    return refused ? refuse(target, refused, state.recipe.dropout) : cook({ dropout: value });
  }
  if (target.id === "full-rate") {
    const { value, refused } = readKnob("learning_rate", target.value, true);
    return refused ? refuse(target, refused, state.recipe.full_learning_rate) : cook({ full_learning_rate: value });
  }
  return undefined;
}

export function mountAdvanced(element) {
  element.innerHTML = '<details class="fold"><summary></summary><div class="inside"></div></details>';
  const [details, head, inside] = ["details", "summary", ".inside"].map((name) => element.querySelector(name));
  element.addEventListener("change", onChange);
  element.addEventListener("click", (event) => {
    const name = event.target.closest("[data-not-full]")?.dataset.notFull;
    if (name) trainInFull([name], false);
  });
  const show = () => {
    if (state.step !== "targets" || !current()) return;
    draw(head, summary());
    if (details.open) draw(inside, body());
  };
  details.addEventListener("toggle", show);
  subscribe(show, "model", "selection", "recipe", "step", "advice", "form");
}
