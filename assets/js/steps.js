// The five steps: which one is in hand, and in one line each what was chosen.

import { state, subscribe, update } from "./store.js";
import { draw, html } from "./html.js";
import { activePreset, currentBudget } from "./choice.js";
import { COMPONENT_SHORT, STATE_NAME, STEPS } from "./words.js";
import { percent, short } from "./format.js";
import { chosenSet } from "./sets.js";
import { enterStep } from "./history.js";
import { isRunning } from "./run.js";

function chosenParts() {
  const budget = currentBudget();
  if (!budget) return "";
  const parts = Object.entries(budget.byComponent).filter(([, n]) => n).map(([name]) => COMPONENT_SHORT[name]);
  if (!parts.length) return "nothing yet";
  const task = state.task && state.model.tasks.find((each) => each.name === state.task.name);
  return task?.title ?? activePreset()?.title ?? parts.join(" + ");
}

function summaries() {
  const run = state.run;
  const status = run?.status;
  return {
    model: state.model ? `${state.model.label}, ${short(state.model.total)}` : state.modelError ? "cannot be opened" : "opening…",
    targets: chosenParts(),
    data: chosenSet()?.title ?? "",
    train: status ? `${STATE_NAME[status.state]}${status.total_steps ? ` · ${status.step} of ${status.total_steps}` : ""}` : "not started",
    result: status?.after ? `${percent(status.before?.exact_match)} → ${percent(status.after.exact_match)} right` : "not yet",
  };
}

function done(step) {
  if (step === "train" || step === "result") return Boolean(state.run?.status?.after);
  return STEPS.findIndex(([name]) => name === step) < STEPS.findIndex(([name]) => name === state.step);
}

export function goTo(step) {
  enterStep(step);
  update({ step });
  window.scrollTo({ top: 0 });
}

export function mountSteps(element) {
  element.addEventListener("click", (event) => {
    const button = event.target.closest("[data-step]");
    if (button) goTo(button.dataset.step);
  });
  subscribe(() => {
    document.body.dataset.step = state.step;
    document.body.dataset.running = isRunning() || state.starting;
    const text = summaries();
    draw(element, html`<nav class="steps" aria-label="Steps">${STEPS.map(([name, title], i) => html`
      <button data-step="${name}" data-key="step-${name}" aria-label="${i + 1}. ${title}${done(name) ? ", done" : ""}: ${text[name]}" class="${done(name) && "done"}" aria-current="${state.step === name ? "step" : "false"}">
        <i aria-hidden="true">${done(name) ? "✓" : i + 1}</i><span>${title}<small>${text[name]}</small></span></button>`)}</nav>`);
  });
}
