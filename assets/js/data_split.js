// Which rows are held out: a share, those that a column names, or those in folders that are called so.

import { state, subscribe } from "./store.js";
import { html } from "./html.js";
import { count } from "./format.js";
import { isWorking, readAs, readSplit } from "./data_draft.js";
import { drawAnew, drawAround, options, refusal } from "./data_fields.js";

const WAYS = [["share", "a share of the rows"], ["column", "a column says so"], ["folders", "folders or files say so"]];

const view = { waits: null }; // the draft for which "a column" was chosen, until the column is named

const wayOf = ({ id, reading }) => (view.waits === id ? "column" : reading.split.by);

function how(draft) {
  const { reading: { split, columns }, guess } = draft;
  const by = wayOf(draft);
  const names = [...new Set([...guess.columns, columns.split, columns.group].filter(Boolean))].map((name) => [name, name]);
  if (by === "column") return html`<label class="field">Column of the side<select data-part="split" data-key="split-column" id="split-column">${options([["", "choose a column"], ...names], columns.split ?? "")}</select><small>train is learned from; test, validation, dev or held-out is held out</small></label>`;
  if (by === "folders") return html`<p class="small soft">Rows of files or folders called test, validation, val, dev or held-out are held out.</p>`;
  return html`<label class="field">Percent held out<input type="number" min="1" max="90" step="1" data-share data-key="split-share" id="split-share" value="${Number((100 * split.share).toFixed(1))}"><small>10 is usual; a picture is never on both sides</small></label>
    ${names.length > 0 && html`<label class="field">Keep together<select data-part="group" data-key="split-group" id="split-group">${options([["", "only what shares a picture"], ...names.map(([name]) => [name, `rows with the same “${name}”`])], split.group ? columns.group ?? "" : "")}</select><small>such as one writer, patient or scene</small></label>`}
    <label class="field">Seed<input type="number" min="0" step="1" data-seed data-key="split-seed" id="split-seed" value="${split.seed}"><small>another number holds out others</small></label>`;
}

function counts(draft) {
  const { report } = draft;
  if (!report) return html`<span class="soft">${isWorking(draft) ? "being counted…" : "not counted"}</span>`;
  const share = report.heldout / (report.train + report.heldout);
  if (!report.train && !report.heldout) return html`<span class="soft">No row can be used yet.</span>`;
  return html`<div class="sides" aria-hidden="true"><i style="width:${100 * (1 - share)}%"></i><b style="width:${100 * share}%"></b></div><p class="facts-row"><span><b>${count(report.train)}</b> to learn from</span><span><b>${count(report.heldout)}</b> held out</span></p>`;
}

const template = (draft) => html`<fieldset class="ways"><legend>Held out is</legend><div class="segments">${WAYS.map(([name, title]) => html`<label><input type="radio" name="split-by" value="${name}" data-key="split-${name}" ${wayOf(draft) === name ? html`checked` : ""}>${title}</label>`)}</div></fieldset><div class="fields">${how(draft)}</div>`;

// Both at once: the column, and that its rows stay together.
function together(column) {
  const { columns, split } = state.draft.reading;
  const { group: _, ...others } = columns;
  return readAs({ columns: column ? { ...others, group: column } : others, split: { ...split, group: Boolean(column) } }, "split");
}

// A column of sides is named before anything is read by it: without one every row would be in error.
function chooseWay(by) {
  const { id, reading } = state.draft;
  view.waits = by === "column" && !reading.columns.split ? id : null;
  return view.waits ? null : readSplit({ by });
}

function bySide(column) {
  const { columns, split } = state.draft.reading;
  view.waits = null;
  return column && readAs({ columns: { ...columns, split: column }, split: { ...split, by: "column" } }, "split");
}

function onChange({ target }) {
  const { part, share, seed } = target.dataset;
  if (target.name === "split-by") return chooseWay(target.value);
  if (part) return part === "group" ? together(target.value) : bySide(target.value);
  if (share !== undefined) return readSplit({ share: Number(target.value) / 100 });
  if (seed !== undefined) return readSplit({ seed: Math.max(0, Math.round(Number(target.value))) });
  return undefined;
}

export function mountSplit(element) {
  element.innerHTML = '<section class="card" aria-labelledby="h-split"><div class="cap"><h3 id="h-split">Held out</h3><span>rows that are never trained on, to see what was really learned</span></div><div class="how"></div><div class="refused" role="alert"></div><div class="counts" role="status"></div></section>';
  const show = (_, patch) => {
    if (!state.draft?.reading) return;
    (state.draftError && patch && "draftError" in patch ? drawAnew : drawAround)(element.querySelector(".how"), template(state.draft));
    drawAround(element.querySelector(".refused"), refusal("split"));
    drawAround(element.querySelector(".counts"), counts(state.draft));
  };
  element.addEventListener("change", (event) => {
    onChange(event);
    show();
  });
  subscribe(show, "draft", "draftError");
}
