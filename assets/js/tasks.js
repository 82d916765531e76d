// The usual choice for a task and the priorities, as they fall on the model in hand: the server knows them.

import { state, update } from "./store.js";
import { postJson } from "./api.js";
import { choiceForServer, propose } from "./choice.js";
import { setForm } from "./form.js";

async function take(path, name, apply) {
  try {
    apply(await postJson(path, { ...choiceForServer(), name }));
  } catch (error) {
    update({ knobError: error.message });
  }
}

export function takeTask(name) {
  if (!name) return update({ task: null });
  return take("preset", name, ({ selection, recipe, settings, notes, title }) => {
    propose(title, { selection, recipe, task: { name, notes } });
    setForm(settings);
  });
}

export function takePriority(name) {
  if (!name) return update({ priority: null });
  return take("priority", name, ({ selection, recipe, title }) => propose(title, { selection, recipe, priority: name, task: state.task }));
}
