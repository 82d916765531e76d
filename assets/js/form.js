// The settings of the Train step, whose widgets are Gradio's, as the other panels need them; and back into the widgets.

import { state, update } from "./store.js";
import { chosenSet } from "./sets.js";

const MAY_BE_EMPTY = ["max_tokens", "warmup_steps", "at_once", "patience"];

// In the order of the widgets of ui/panels/train.py, which says the names.
export function readForm(names, values) {
  if (!state.formBack) return; // what the person left is not back in the widgets yet
  const form = Object.fromEntries(names.map((name, i) => [name, values[i]]));
  for (const name of MAY_BE_EMPTY) form[name] = number(form[name]);
  if (JSON.stringify(form) !== JSON.stringify(state.form)) update({ form });
}

// What a field for a number that may be left empty holds: null, the number, or what is no number as it stands there.
const number = (text) => (Number.isNaN(Number(text ?? "")) ? text : Number(text ?? "") || null);

// What the widgets shall hold; where nothing is known, what they hold. A field that may be empty is one for text.
export function writeForm(names, values) {
  return names.map((name, i) => (MAY_BE_EMPTY.includes(name) ? String(state.form[name] ?? "") : (state.form[name] ?? values[i])));
}

// Puts values into the widgets, by the names that they have there; Gradio's hidden button carries them over.
export function setForm(values) {
  const form = { ...state.form, ...values };
  if (JSON.stringify(form) === JSON.stringify(state.form)) return;
  update({ form });
  document.querySelector("#form-event").click();
}

const USUAL = { epochs: 3, steps: 120 };
let last = null; // what the last change of the unit made of what, so that going back gives the same again

// The training length in another unit, about as long as before on the rows of the chosen data; a usual one where these
// or the batch are not known.
export function converted(unit, length) {
  const rows = chosenSet()?.train;
  const { batch_size: batch, accumulation } = state.form;
  const perEpoch = Math.ceil(Math.ceil(rows / batch) / accumulation); // as core/spec/job.py counts them
  const known = perEpoch >= 1 && length > 0;
  if (last?.to === length && last.unit !== unit && last.perEpoch === perEpoch) return last.from;
  const found = !known ? USUAL[unit] : unit === "epochs" ? round(length / perEpoch) : Math.max(1, Math.ceil(length * perEpoch));
  last = { unit, from: length, to: found, perEpoch };
  return found;
}

const round = (epochs) => (epochs >= 10 ? Math.round(epochs) : Math.max(0.1, Number(epochs.toFixed(1))));
