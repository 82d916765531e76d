// The plan in the words of other tools, to be copied or downloaded: nobody depends on this page.

import { state, subscribe } from "./store.js";
import { draw, html } from "./html.js";
import { postJson } from "./api.js";
import { choiceForServer, current } from "./choice.js";
import { EXPORTS, NOT_COPIED } from "./words.js";

const PATIENCE = 300; // milliseconds after the last change
const view = { format: "script", found: null, error: null, asking: null, timer: null, copied: null };

async function ask(show) {
  if (!current()?.budget.trainable) return;
  view.asking?.abort();
  view.asking = new AbortController();
  try {
    const found = await postJson("export", { ...choiceForServer(), form: state.form, format: view.format }, view.asking.signal);
    if (found.text !== view.found?.text) view.copied = null;
    Object.assign(view, { found, error: null });
  } catch (error) {
    if (error.name === "AbortError") return;
    view.error = error.message;
  }
  show();
}

function body() {
  const [, , what] = EXPORTS.find(([name]) => name === view.format);
  const shown = view.found && !view.error;
  return html`<div class="export-head"><label class="field">Format<select id="export-format" data-key="export-format">${EXPORTS.map(([name, title]) => html`<option value="${name}" ${name === view.format ? html`selected` : ""}>${title}</option>`)}</select></label>
    <p class="small soft">${what}</p>${shown && html`<span class="export-do"><button data-copy data-key="copy">${view.copied ? "✓ Copied" : "Copy"}</button><button data-download data-key="export-download">Download ${view.found.file_name}</button></span>`}</div>
    ${!view.found && !view.error && html`<p class="small soft waiting">Writing it…</p>`}${view.error && html`<div class="note bad" role="alert">${view.error}</div>`}
    ${shown && view.found.notes.length > 0 && html`<div class="note">${view.found.notes.map((note) => html`<p>${note}</p>`)}</div>`}
    ${view.copied === false && html`<div class="note" role="alert">${NOT_COPIED}</div>`}
    ${shown && html`<pre class="log code" tabindex="0" aria-label="${view.found.file_name}">${view.found.text}</pre>`}`;
}

function download({ text, file_name: name }) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(new Blob([text], { type: "text/plain" })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// Copies the text by the browser's clipboard, which only https and this machine's own pages have, or else the old way.
// When neither is let, the text is left selected -> whether it was copied.
async function copy(text, element) {
  if (await navigator.clipboard?.writeText(text).then(() => true, () => false)) return true;
  getSelection().selectAllChildren(element);
  const copied = document.execCommand("copy");
  if (copied) getSelection().removeAllRanges();
  return copied;
}

export function mountExport(element) {
  element.innerHTML = '<section class="card" aria-label="Export"><details class="fold" id="export-fold"><summary><b>Export the plan</b> <span class="soft">as a script, PEFT’s config, a regex, Unsloth’s call, YAML</span></summary><div class="inside"></div></details></section>';
  const [fold, inside] = [element.querySelector("details"), element.querySelector(".inside")];
  const show = () => fold.open && draw(inside, current()?.budget.trainable ? body() : html`<p class="soft">Nothing is selected yet.</p>`);
  const soon = () => {
    if (!fold.open || state.step !== "targets") return;
    clearTimeout(view.timer);
    view.timer = setTimeout(() => ask(show), PATIENCE);
    show();
  };
  fold.addEventListener("toggle", soon);
  element.addEventListener("change", (event) => {
    if (event.target.id !== "export-format") return;
    clearTimeout(view.timer); // the same would be asked again
    Object.assign(view, { format: event.target.value, found: null, copied: null });
    ask(show);
  });
  element.addEventListener("click", async (event) => {
    if (event.target.closest("[data-download]")) download(view.found);
    if (!event.target.closest("[data-copy]")) return;
    view.copied = await copy(view.found.text, element.querySelector("pre"));
    show();
    if (!view.copied) getSelection().selectAllChildren(element.querySelector("pre")); // it was drawn anew
    setTimeout(() => view.copied && Object.assign(view, { copied: null }) && show(), 2000);
  });
  subscribe(soon, "model", "selection", "recipe", "form", "dataset", "step");
}
