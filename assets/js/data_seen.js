// What the model will get: rows with their pictures resized and their text as tokens, those that are learned marked; how
// long rows are against the limit, and how answers are spread. Asked of the server when it is looked at.

import { state, subscribe, update } from "./store.js";
import { draw, html } from "./html.js";
import { postJson } from "./api.js";
import { count } from "./format.js";
import { setForm } from "./form.js";
import { setOf } from "./sets.js";
import { isWorking, leaveOut, readAs } from "./data_draft.js";
import { hold } from "./data_fields.js";
import { tokenRow } from "./data_tokens.js";
import { answers, spread, tooLong } from "./data_lengths.js";

const AT_ONCE = 2; // rows
const PATIENCE = 400; // milliseconds after the last change

const LEGEND = html`<p class="legend tokens-legend"><span><span class="token learned">learned</span> carries loss: what the model is taught to say</span><span><span class="token">read</span> is only read</span><span><span class="token special">‹special›</span> sign of the model’s own template</span><span><span class="token image">picture</span> tokens of a picture</span></p>`;

// What of the page decides the answer.
function question(key) {
  const { augment, max_tokens } = state.form;
  const asked = { model_key: state.modelKey, data: key, augment: augment ?? [], max_tokens: max_tokens ?? null };
  return { asked, signature: JSON.stringify([asked, isDraft(key) ? state.draft.reading : null]) };
}

const isDraft = (key) => key.startsWith("draft:");
const numbers = (n) => Array.from({ length: n }, (_, i) => i);

// The rows that can be looked at, by their numbers.
function lookable(key) {
  if (isDraft(key)) return state.draft.rows.filter(({ turns }) => turns.length).map(({ number }) => number);
  return numbers(Math.min(setOf(key)?.train ?? 0, 200));
}

const isReady = (key) => key && state.step === "data" && state.model && !state.model.untrainable && (!isDraft(key) || (state.draft.reading && !isWorking()));

function pager(view, rows) {
  if (rows.length <= AT_ONCE) return "";
  const last = Math.min(view.from + AT_ONCE, rows.length);
  return html`<div class="pager"><button data-turn="-1" data-key="turn-back" aria-label="Earlier rows" ${view.from ? "" : html`aria-disabled="true"`}>←</button><span class="num small">rows ${view.from + 1} to ${last} of ${isDraft(view.key) ? `the ${rows.length} above` : rows.length}</span><button data-turn="1" data-key="turn-on" aria-label="Further rows" ${last < rows.length ? "" : html`aria-disabled="true"`}>→</button></div>`;
}

function shown(view) {
  if (!view.key) return "";
  if (state.model?.untrainable) return html`<p class="soft">${state.model.untrainable}</p>`;
  if (isDraft(view.key) && isWorking()) return html`<p class="waiting soft">Waits for the check…</p>`;
  if (view.error) return html`<div class="note"><b>This cannot be shown</b>${view.error}</div>`;
  if (!view.rows) return html`<p class="waiting soft">Asking the model’s processor; the first time takes some seconds…</p>`;
  const rows = lookable(view.key);
  if (!rows.length) return html`<p class="soft">No row can be used yet.</p>`;
  return html`<div class="cap"><span>for <b>${state.model.label}</b>${state.form.augment?.length > 0 && html`; pictures are changed a little, as chosen in Train`}</span>${pager(view, rows)}</div>${LEGEND}
    <div class="seen">${view.rows.map((row, i) => tokenRow(row, view.numbers[i]))}</div>`;
}

function figures(view) {
  const report = isDraft(view.key ?? "") ? state.draft.report : null;
  if (!view.rows && !view.lengths) return "";
  if (!view.lengths) return html`<p class="waiting soft">${view.lengthsError ?? "Measuring how long the rows are…"}</p>`;
  return html`${tooLong(view.lengths, report)}${spread(view.lengths, report)}${report && answers(report)}`;
}

export function mountSeen(element, keyOf, open) {
  element.innerHTML = '<section class="card seen-card"><details class="fold"><summary><h3>What the model will get</h3></summary><div class="inside"><div class="rows-seen"></div><div class="figures"></div></div></details></section>';
  const [fold, rowsBox, figuresBox] = ["details", ".rows-seen", ".figures"].map((name) => element.querySelector(name));
  fold.open = open;
  const view = { key: null, from: 0 };
  let [timer, asking] = [null, null];
  const show = () => {
    if (!fold.open || !view.key) return;
    const waiting = !view.rows && !view.error;
    hold(rowsBox, waiting);
    hold(figuresBox, !view.error && !view.lengths && !view.lengthsError);
    draw(rowsBox, shown(view));
    draw(figuresBox, isReady(view.key) ? figures(view) : "");
  };
  const askRows = async ({ asked, signature }, signal) => {
    const rows = lookable(view.key).slice(view.from, view.from + AT_ONCE);
    if (!rows.length) return Object.assign(view, { rows: [], numbers: [] });
    const answer = await postJson("preview", { ...asked, rows }, signal);
    if (view.signature === signature) Object.assign(view, { rows: answer.rows, numbers: rows, error: null });
    return show();
  };
  const ask = async () => {
    if (!fold.open || !isReady(view.key)) return;
    asking?.abort();
    asking = new AbortController();
    const { signal } = asking;
    const now = question(view.key);
    try {
      await askRows(now, signal);
      if (view.lengths) return;
      const lengths = await postJson("lengths", now.asked, signal);
      if (view.signature === now.signature) {
        Object.assign(view, { lengths });
        update({ overlong: { key: view.key, over: lengths.over } });
      }
    } catch (error) {
      if (error.name === "AbortError") return;
      Object.assign(view, view.rows ? { lengthsError: error.message } : { error: error.message });
    }
    show();
  };
  const forget = () => {
    clearTimeout(timer);
    asking?.abort();
    Object.assign(view, { key: null, signature: null, rows: null });
    for (const box of [rowsBox, figuresBox]) hold(box, false);
  };
  const follow = () => {
    const key = keyOf();
    if (!key || !state.modelKey || (isDraft(key) && !state.draft.reading)) return forget();
    const { signature } = question(key);
    if (signature !== view.signature) {
      if (state.overlong?.key === key) update({ overlong: null });
      Object.assign(view, { key, signature, from: 0, rows: null, lengths: null, error: null, lengthsError: null });
    }
    show();
    if (view.rows || view.error) return;
    clearTimeout(timer);
    timer = setTimeout(ask, PATIENCE);
  };
  element.addEventListener("click", (event) => {
    const { turn, longer, smaller, out } = event.target.closest("button:not([aria-disabled])")?.dataset ?? {};
    if (turn) {
      view.from += Number(turn) * AT_ONCE;
      ask();
    }
    if (longer !== undefined) setForm({ max_tokens: longer ? Number(longer) : null });
    if (smaller) readAs({ max_side: Number(smaller) });
    if (out !== undefined) leaveOut(view.lengths.too_long.map(({ row }) => row));
  });
  fold.addEventListener("toggle", follow);
  subscribe(follow, "draft", "dataset", "home", "model", "form", "step");
}
