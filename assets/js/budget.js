// The budget, in sight on every step, with the one button that goes on.

import { state, subscribe, update } from "./store.js";
import { draw, html } from "./html.js";
import { confirmation, currentBudget, guessesTrained, isConfirmed } from "./choice.js";
import { isOfNow, mountAdvice, refusalAtStart, refused } from "./advice.js";
import { COMPONENT_SHORT, CONFIRM_GUESSES, NEXT, NO_DATA, STILL_READING, STILL_RUNNING } from "./words.js";
import { bytes, count, gib, percent } from "./format.js";
import { currentMemory, isAsked, showMemory, verdict } from "./memory.js";
import { chosenSet } from "./sets.js";
import { goTo } from "./steps.js";
import { isRunning } from "./run.js";

// The keyboard still reaches it, and a reader says why it cannot be pressed.
const BLOCKED = html`aria-disabled="true" aria-describedby="why-not"`;

// Whether the job in view learned from another set than the one that is chosen now.
function isOfOtherData({ info }) {
  const { kind, name } = info.spec.data;
  return ![name, `${kind}:${name}`].includes(state.dataset);
}

function actions(budget) {
  const running = isRunning();
  const next = NEXT[state.step];
  const seeRun = running && state.step !== "train";
  const result = !running && state.run?.status?.after && state.step === "train";
  const anew = result && isOfOtherData(state.run);
  const again = state.step === "result" && Boolean(state.run);
  const start = running ? "Training…" : state.starting ? "Starting…" : again ? "Train again" : "Start training";
  const blocked = running || state.starting || !budget?.trainable || !state.dataset || state.model.untrainable || !isConfirmed() || refused();
  return html`<div class="actions">
    ${result && html`<button class="${anew ? "next" : "primary"}" data-go="result" data-key="go">See the result</button>`}
    ${seeRun ? html`<button class="primary" data-go="train" data-key="go">Watch it train</button>`
      : html`<button class="${(anew || (!result && !again)) && "primary"}" id="start" data-key="start" ${blocked ? BLOCKED : ""}>${start}</button>`}
    ${next && html`<button class="next" data-go="${next[0]}" data-key="next">${next[1]} →</button>`}</div>`;
}

// Why Start does nothing now, where that does not stand above it already.
function whyNot() {
  if (!currentBudget()) return STILL_READING;
  if (!state.dataset) return NO_DATA;
  return isRunning() ? STILL_RUNNING : null;
}

// A click on Start starts one job or leaves a reason on the page. A refusal of what was chosen before the last change is
// none: the server is asked, and says itself what cannot be.
function press(button) {
  if (state.starting) return undefined;
  if (button.hasAttribute("aria-disabled") && !onlyStaleRefusal()) return update({ inVain: true });
  window.studio.starting();
  return document.querySelector("#start-event").click();
}

const onlyStaleRefusal = () => refused() && !whyNot() && currentBudget().trainable && !state.model.untrainable && isConfirmed() && !isOfNow();

function message(budget) {
  const error = state.startError ?? (state.inVain && whyNot());
  if (error) return html`<div class="note bad" role="alert"><b>Not started</b>${error}</div>`;
  if (!budget) return "";
  if (!budget.trainable) return html`<div class="note" role="status">Nothing is selected. Switch on at least one part of the model.</div>`;
  if (state.model.untrainable) return html`<div class="note" role="status"><b>This model cannot be trained here</b>${state.model.untrainable}</div>`;
  if (refused()) return refusalAtStart();
  return confirming();
}

// A plan that trains guessed parts is not started before the person has said that it is meant.
function confirming() {
  const guessed = guessesTrained();
  if (!guessed.length) return "";
  return html`<div class="note"><b>Guessed parts would be trained</b><span class="mono">${guessed.slice(0, 3).map(({ root }) => root).join(", ")}${guessed.length > 3 && ` and ${guessed.length - 3} more`}</span>
    <label class="confirm"><input type="checkbox" id="confirm" data-key="confirm" ${isConfirmed() ? html`checked` : ""}> ${CONFIRM_GUESSES}</label></div>`;
}

// Always there, so that the button below does not move when a figure comes.
function memoryRow() {
  const found = currentMemory();
  const figure = found?.answer ? html`<button class="plain" data-memory data-key="memory" title="Peak on ${found.card.name}">${gib(found.peak)}</button> ${verdict(found)}`
    : html`<button class="plain soft" data-memory data-key="memory">${found?.unknown ? "not known" : isAsked() ? "…" : "–"}</button>`;
  return html`<tr><th scope="row">memory</th><td>${figure}</td></tr>`;
}

function body(budget) {
  if (!budget) return html`<div class="budget card"><div class="cap"><span>Will be trained</span></div><div class="big soft">–</div><div class="messages" id="why-not">${message(null)}</div>${actions(null)}</div>`;
  const parts = Object.entries(budget.byComponent);
  return html`<div class="budget card"><div class="cap"><span>Will be trained</span></div>
    <div><div class="big" id="trainable">${count(budget.trainable)}</div>
      <div class="soft small share num">${percent(budget.share, 2)} of ${count(budget.total)} parameters</div><div class="small soft from narrow">learns from ${chosenSet()?.title ?? "–"}</div></div>
    <div class="bar" aria-hidden="true">${parts.map(([name, n]) => html`<i data-component="${name}" style="width:${budget.trainable ? (100 * n) / budget.trainable : 0}%"></i>`)}</div>
    <table><caption class="visually-hidden">Trainable parameters by component</caption><tbody>
      ${parts.map(([name, n]) => html`<tr data-component="${name}"><th scope="row"><span class="dot"></span>${COMPONENT_SHORT[name]}</th><td>${n ? count(n) : "frozen"}</td></tr>`)}
      <tr><th scope="row">modules</th><td>${count(budget.modules)}</td></tr>
      ${memoryRow()}<tr><th scope="row">adapter file</th><td title="${count(budget.bytes)} bytes">${bytes(budget.bytes)}</td></tr>
      <tr><th scope="row">learns from</th><td class="from" title="${chosenSet()?.title ?? ""}">${chosenSet()?.title ?? "–"}</td></tr></tbody></table>
    <div class="messages" id="why-not">${message(budget)}</div>${actions(budget)}</div>`;
}

export function mountBudget(element) {
  element.addEventListener("click", (event) => {
    const go = event.target.closest("[data-go]");
    if (go) return goTo(go.dataset.go);
    if (event.target.closest("[data-memory]")) return showMemory();
    if (event.target.id === "confirm") return update({ confirmed: event.target.checked ? confirmation() : null });
    const start = event.target.closest("#start");
    return start ? press(start) : undefined;
  });
  // One live region that stays: a reader hears the new count, however the card is drawn.
  element.innerHTML = '<div></div><p class="visually-hidden" role="status" aria-live="polite"></p><div></div>';
  const [card, spoken, advice] = element.children;
  mountAdvice(advice);
  subscribe(() => {
    const budget = currentBudget();
    draw(card, body(budget));
    const text = budget ? `${count(budget.trainable)} parameters will be trained` : "";
    if (spoken.textContent !== text) spoken.textContent = text;
  });
}
