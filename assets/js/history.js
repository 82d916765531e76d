// The step in hand is the address's hash: each step is an entry of the browser's history, and a link to one opens it.

import { state, subscribe, update } from "./store.js";
import { STEPS } from "./words.js";

const TITLE = document.title || "VLM LoRA Studio";
const titles = new Map(STEPS);

// The step that the address names; null where it names none.
export function stepInAddress() {
  const name = location.hash.slice(1);
  return titles.has(name) ? name : null;
}

// Makes a step a new entry. Called before the page changes, so that Back finds the old step where it was scrolled to.
export function enterStep(step) {
  if (stepInAddress() !== step) history.pushState(null, "", `#${step}`);
}

// From now on the address follows the page, and the page follows Back and Forward.
export function followHistory() {
  history.replaceState(history.state, "", `#${state.step}`);
  subscribe(() => {
    enterStep(state.step);
    document.title = `${titles.get(state.step)} · ${TITLE}`;
  }, "step");
  window.addEventListener("popstate", () => {
    const step = stepInAddress();
    if (step && step !== state.step) update({ step });
  });
}
