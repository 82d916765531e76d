// Whether a training step fits a card: asked of the server some time after the last change, one question at a time, the
// newest wins, and nothing waits for it.

import { state, subscribe, update } from "./store.js";
import { draw, html } from "./html.js";
import { postJson } from "./api.js";
import { take } from "./advice.js";
import { choiceForServer, current } from "./choice.js";
import { setForm } from "./form.js";
import { isRunning } from "./run.js";
import { bytes, count, duration, gib } from "./format.js";
import { CHOICES, FIT, MEMORY_UNKNOWN, OWN_CARD, QUANTIZATION, TERMS } from "./words.js";

const USUAL_TOKENS = 128; // of text in a row, as core/memory/workload.py
const PATIENCE = 1000; // milliseconds after the last change
const OF_THE_FORM = ["batch_size", "at_once", "accumulation", "quantization", "quantized_part", "checkpointing", "optimizer", "precision", "attention", "workers", "levers", "order", "augment", "unit", "length", "max_new_tokens"];
const NUMBERS = { "memory-side": ["side", 1, 16384], "memory-tokens": ["tokens", 1, 1000000], "memory-batch": ["batch_size", 1, 4096], "memory-at-once": ["at_once", 1, 4096] };
const IN_THE_FORM = ["batch_size", "at_once"];

let asking = null;
let timer = null;
const known = new Map(); // question -> answer

function question(selection = state.selection, recipe = state.recipe) {
  const { card, side, tokens } = state.memory;
  const { model_key: key } = choiceForServer();
  return { model_key: key, selection, recipe, form: state.form, dataset: state.dataset, card, image_side: side, text_tokens: tokens };
}

// What of a question decides its answer.
const signature = ({ form, ...rest }) => JSON.stringify([rest, OF_THE_FORM.map((name) => form[name])]);

export const knownMemory = (selection, recipe) => known.get(signature(question(selection, recipe)));
export const currentMemory = () => (current() && state.memory ? knownMemory() : undefined);

// The answer to a question, from the server once; with `change` also what would make it fit.
async function answer(asked, signal, change = false) {
  const key = signature(asked);
  if (known.has(key) && (!change || "change" in known.get(key))) return known.get(key);
  const { change: better, ...found } = await postJson("memory", { ...asked, change }, signal);
  known.set(key, change ? { ...found, change: better } : found);
  return known.get(key);
}

// How long a job like this took, where one has run on this machine; asked once the memory is known, and never waited for.
async function askPace(asked, found) {
  if (!found.answer || asked.card) return;
  const row_tokens = (found.image_tokens ?? 0) + (asked.text_tokens ?? USUAL_TOKENS);
  const { pace } = await postJson("pace", { ...asked, row_tokens });
  found.pace = pace;
  update({ memoryKnown: known.size + 0.25 });
}

// Whether a figure is on its way, or would be in a moment.
export const isAsked = () => ["targets", "train"].includes(state.step) && current()?.budget.trainable && !isRunning() && !state.starting && !state.advice?.refused?.length;

async function ask() {
  if (!isAsked()) return;
  asking?.abort();
  asking = new AbortController();
  const { signal } = asking;
  const asked = question();
  try {
    const found = await answer(asked, signal);
    update({ memoryError: null, memoryKnown: known.size });
    askPace(asked, found).catch(() => null); // a figure less, and no fault of the choice
    if (found.answer && found.answer !== "fits") {
      await answer(asked, signal, true);
      update({ memoryKnown: known.size + 0.5 });
    }
  } catch (error) {
    if (error.name !== "AbortError") update({ memoryError: error.status ? error.message : null });
  }
}

// The memory of several choices, one after the other; each is drawn as it comes.
export async function askAll(choices) {
  for (const [selection, recipe] of choices) {
    const found = await answer(question(selection, recipe)).catch((error) => ({ unknown: error.message }));
    if (found.unknown) known.set(signature(question(selection, recipe)), found);
    update({ memoryKnown: known.size });
  }
}

export function verdict(found) {
  const [icon, word] = FIT[found.answer] ?? ["?", "not known"];
  return html`<span class="fit ${found.answer?.replaceAll(" ", "-")}"><span aria-hidden="true">${icon}</span> ${word}</span>`;
}

function summary(found) {
  if (!found) return html`<b>Memory</b> <span class="soft">${isAsked() ? "working it out…" : "worked out when something learns and nothing is being trained"}</span>`;
  if (found.unknown) return html`<b>Memory</b> <span class="soft">${MEMORY_UNKNOWN}</span>`;
  return html`<b>Memory</b> ${verdict(found)} <span class="soft num">${gib(found.peak)} of ${gib(found.card.bytes)}, ${found.card.name}</span>`;
}

function inputs(found) {
  const { card, side, tokens } = state.memory;
  const { batch_size: batch, at_once: atOnce, quantization, checkpointing } = state.form;
  const chosen = found?.choices?.find(({ name }) => name === "at_once")?.value;
  return html`<div class="fields memory-inputs">
    <label class="field">Card<select id="memory-card" data-key="memory-card"><option value="">${OWN_CARD}</option>${state.home.cards.map((name) => html`<option ${name === card ? html`selected` : ""}>${name}</option>`)}</select></label>
    <label class="field">Batch<input id="memory-batch" data-key="memory-batch" type="number" min="1" value="${batch}"></label>
    <label class="field">Rows at a time<input id="memory-at-once" data-key="memory-at-once" type="number" min="1" placeholder="${chosen ?? ""}" value="${atOnce ?? ""}"></label>
    <label class="field">Quantization<select id="memory-quantization" data-key="memory-quantization">${Object.entries(QUANTIZATION).map(([name, title]) => html`<option value="${name}" ${name === quantization ? html`selected` : ""}>${title}</option>`)}</select></label>
    <label class="field">Picture, pixels<input id="memory-side" data-key="memory-side" type="number" min="1" placeholder="${found?.side ?? ""}" value="${side ?? ""}"></label>
    <label class="field">Text, tokens<input id="memory-tokens" data-key="memory-tokens" type="number" min="1" placeholder="128" value="${tokens ?? ""}"></label>
    <label class="field">Checkpointing<select id="memory-checkpointing" data-key="memory-checkpointing">${CHOICES.checkpointing.options.map(([name, title]) => html`<option value="${name}" ${name === checkpointing ? html`selected` : ""}>${title}</option>`)}</select></label></div>`;
}

const colour = (name) => TERMS[name] ?? "other";

function bar({ terms, peak, card }) {
  const whole = Math.max(peak, card.bytes);
  return html`<div class="memory-bar ${peak > card.bytes && "over"}" role="img" aria-label="${gib(peak)} of ${gib(card.bytes)}"><div>${terms.map(({ name, bytes }) => html`<i class="term-${colour(name)}" style="width:${(100 * bytes) / whole}%"></i>`)}</div>
    <b style="left:${(100 * card.bytes) / whole}%"></b></div>`;
}

function change(found) {
  if (found.answer === "fits") return "";
  if (!("change" in found)) return html`<p class="small soft waiting">Looking for the cheapest change that makes it fit…</p>`;
  if (!found.change) return html`<div class="note">No change of these settings is enough. Take a smaller model or a larger card.</div>`;
  const { what, cost, peak } = found.change;
  return html`<div class="note refusal"><span><b>To make it fit: ${what}</b>${gib(peak)} then. It costs: ${cost}.</span><button data-fit data-key="fit">Do it</button></div>`;
}

function details(found) {
  if (!found) return html`<p class="small soft">${isAsked() ? "Working it out…" : ""}</p>`;
  if (found.unknown) return html`<div class="note" role="status">${found.unknown}</div>`;
  return html`${bar(found)}${change(found)}
    <table class="terms"><caption class="visually-hidden">What takes the memory</caption><tbody>${found.terms.map(({ name, bytes, why }) => html`<tr><th scope="row"><i class="term-${colour(name)}" aria-hidden="true"></i>${name}</th><td class="num">${gib(bytes)}</td><td class="why">${why}</td></tr>`)}
      <tr class="sum"><th scope="row">at most</th><td class="num">${gib(found.peak)}</td><td class="why">${found.how}</td></tr></tbody></table>${pace(found)}`;
}

function pace({ pace: run }) {
  if (!run) return "";
  return html`<p class="small pace">About <b class="num">${duration(run.hours * 3600)}</b> of training steps, <b class="num">${count(Math.round(run.tokens_per_second))}</b> tokens a second and <b class="num">${bytes(run.disk_bytes)}</b> on disk, going by ${run.source}.</p>`;
}

function onChange({ target }) {
  if (target.id === "memory-card") return update({ memory: { ...state.memory, card: target.value } });
  if (target.id === "memory-quantization") return setForm({ quantization: target.value });
  if (target.id === "memory-checkpointing") return setForm({ checkpointing: target.value });
  const [name, low, high] = NUMBERS[target.id] ?? [];
  if (!name) return undefined;
  const value = target.value === "" && name !== "batch_size" ? null : Number(target.value);
  if (value !== null && !(Number.isInteger(value) && value >= low && value <= high)) {
    target.value = { ...state.form, ...state.memory }[name] ?? "";
    return undefined;
  }
  return IN_THE_FORM.includes(name) ? setForm({ [name]: name === "at_once" ? String(value ?? "") : value }) : update({ memory: { ...state.memory, [name]: value } });
}

export function mountMemory(element) {
  element.innerHTML = '<section class="card" aria-label="Memory"><details class="fold" id="memory-fold"><summary></summary><div class="inside"><div class="inputs"></div><div class="result" role="status"></div></div></details></section>';
  const find = (name) => element.querySelector(name);
  const fold = find("details");
  fold.open = state.memory.open;
  const show = () => {
    if (state.step !== "targets" || !current() || !state.home) return;
    const found = currentMemory();
    draw(find("summary"), summary(found));
    if (!fold.open) return;
    draw(find(".inputs"), inputs(found));
    draw(find(".result"), state.memoryError ? html`<div class="note">${state.memoryError}</div>` : details(found));
  };
  fold.addEventListener("toggle", () => {
    if (fold.open !== state.memory.open) update({ memory: { ...state.memory, open: fold.open } });
    show();
  });
  element.addEventListener("change", onChange);
  element.addEventListener("click", (event) => {
    const better = currentMemory()?.change;
    if (event.target.closest("[data-fit]") && better) take(better.what, better);
  });
  subscribe(show, "model", "selection", "recipe", "form", "memory", "memoryKnown", "memoryError", "advice", "home", "step", "run");
  subscribe(() => {
    clearTimeout(timer);
    timer = setTimeout(ask, PATIENCE);
  }, "model", "selection", "recipe", "form", "memory", "dataset", "step", "advice");
}

// From the budget to what it is made of.
export function showMemory() {
  update({ step: "targets", memory: { ...state.memory, open: true } });
  const fold = document.querySelector("#memory-fold");
  fold.open = true;
  fold.scrollIntoView({ block: "center" });
  fold.querySelector("summary").focus({ preventScroll: true });
}
