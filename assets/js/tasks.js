// The usual choice for a task and the priorities, as they fall on the model in hand: the server knows them.

import { state, update } from "./store.js";
import { postJson } from "./api.js";
import { take } from "./advice.js";
import { choiceForServer, propose } from "./choice.js";

async function ask(path, name, apply) {
  try {
    apply(await postJson(path, { ...choiceForServer(), name }));
  } catch (error) {
    update({ knobError: error.message });
  }
}

export function takeTask(name) {
  if (!name) return update({ task: null });
  return ask("preset", name, ({ selection, recipe, settings, notes, title }) => {
    take(title, { selection, recipe, form: settings }, { task: { name, notes } });
  });
}

export function takePriority(name) {
  if (!name) return update({ priority: null });
  return ask("priority", name, ({ selection, recipe, title }) => propose(title, { selection, recipe, priority: name, task: state.task }));
}
