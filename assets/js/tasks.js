// The usual choice for a task and the priorities, as they fall on the model in hand: the server knows them.

import { state, update } from "./store.js";
import { postJson } from "./api.js";
import { take } from "./advice.js";
import { choiceForServer, propose } from "./choice.js";
import { NO_TASK } from "./words.js";

async function ask(path, name, apply, recipe = state.recipe) {
  try {
    apply(await postJson(path, { ...choiceForServer(), recipe, name }));
  } catch (error) {
    update({ knobError: error.message });
  }
}

// What was chosen before the first task, so that one task leaves nothing behind in the next.
const beforeTask = () => state.task?.before ?? { selection: state.selection, recipe: state.recipe, preset: state.preset, form: {} };

export function takeTask(name) {
  const before = beforeTask();
  if (!name) return take(NO_TASK, before, { preset: before.preset });
  return ask("preset", name, ({ selection, recipe, settings, notes, title }) => {
    const touched = Object.fromEntries(Object.keys(settings).map((key) => [key, state.form[key]]));
    take(title, { selection, recipe, form: { ...before.form, ...settings } }, { task: { name, notes, before: { ...before, form: { ...touched, ...before.form } } } });
  }, before.recipe);
}

// A priority says which layers learn; what a task has set beside that stays, but it is no longer the task's choice.
export function takePriority(name) {
  if (!name) return update({ priority: null });
  return ask("priority", name, ({ selection, recipe, title }) => propose(title, { selection, recipe, priority: name }));
}
