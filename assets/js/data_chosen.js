// What the model will get of the chosen set, folded until somebody wants to know; while new data are open, these are shown.

import { state, subscribe } from "./store.js";
import { setOf } from "./sets.js";
import { mountSeen } from "./data_seen.js";

export function mountChosenSet(element) {
  mountSeen(element, () => !state.draft && setOf(state.dataset) && state.dataset, false);
  subscribe(() => element.classList.toggle("off-stage", Boolean(state.draft) || !state.home), "draft", "home");
}
