// The settings of the Train step, whose widgets are Gradio's, as the other panels need them; and back into the widgets.

import { state, update } from "./store.js";

// In the order of the widgets of ui/panels/train.py, which says the names.
export function readForm(names, values) {
  const form = Object.fromEntries(names.map((name, i) => [name, values[i]]));
  if (JSON.stringify(form) !== JSON.stringify(state.form)) update({ form });
}

// Puts values into the widgets, by the names that they have there; Gradio's hidden button carries them over.
export function setForm(values) {
  const form = { ...state.form, ...values };
  if (JSON.stringify(form) === JSON.stringify(state.form)) return;
  update({ form });
  document.querySelector("#form-event").click();
}
