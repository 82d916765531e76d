// Fields of the Data step: lists to choose from, and drawing that never takes away what is being typed.

import { draw, html } from "./html.js";
import { state } from "./store.js";

export const options = (pairs, chosen) => pairs.map(([value, title]) => html`<option value="${value}" ${value === chosen ? html`selected` : ""}>${title}</option>`);

// A mark that says in a sign and a word how bad something is.
export const mark = (kind, [sign, word]) => html`<span class="mark ${kind}"><span aria-hidden="true">${sign}</span> ${word}</span>`;

// Why the last change was refused, in the part of the sheet where it was asked for.
export const refusal = (at) => (state.draftError && state.draftErrorAt === at ? html`<div class="note bad"><b>This was not changed</b>${state.draftError}</div>` : "");

// Draws, and gives a field in which somebody types its text and place back.
export function drawAround(element, template) {
  const typing = element.contains(document.activeElement) && "value" in document.activeElement && document.activeElement.type !== "checkbox" ? document.activeElement : null;
  const kept = typing && typing.value !== typing.defaultValue && typing.tagName !== "SELECT" ? { key: typing.dataset.key, value: typing.value, at: typing.selectionStart } : null;
  if (!draw(element, template) || !kept?.key) return;
  const field = element.querySelector(`[data-key="${CSS.escape(kept.key)}"]`);
  if (!field) return;
  field.value = kept.value;
  if (kept.at !== null) field.setSelectionRange?.(kept.at, kept.at);
}

// While something is awaited its place stays as large as it was, so that nothing below jumps.
export function hold(element, waiting) {
  if (!waiting) element.style.minHeight = "";
  else if (!element.style.minHeight) element.style.minHeight = `${element.offsetHeight}px`;
}

// After a refusal the fields show again what stands.
export function drawAnew(element, template) {
  element.drawn = undefined;
  draw(element, template);
}
