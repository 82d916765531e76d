// What the page knows, in one place. A panel subscribes, and draws itself anew from the state; nothing else holds state.
// The person's choices are remembered for this tab, so that a reload finds them again.

const REMEMBERED = ["step", "modelKey", "selection", "recipe", "preset", "task", "priority", "form", "formKey", "confirmed", "dataset", "draftId", "job", "memory"];
const KEY = "vlm-lora-studio";

export const NOTHING_SELECTED = { cells: [], include: [], exclude: [], layers: {}, full: [], relabels: {} };

export const state = {
  step: "model", // model | targets | data | train | result
  home: null, // what the server offers: device, presets, data sets, jobs
  modelKey: null, // config hash of the inspection in hand
  inspected: null, // the inspection as the server made it, see model.js
  model: null, // the same with the person's labels
  modelError: null,
  selection: null, // as core.spec.Selection; null until a preset is applied
  recipe: null, // as core.spec.Recipe
  preset: null, // name of the preset that was pressed last: two can fall on the same choice
  task: null, // name of the task whose usual choice was taken, until something is changed
  priority: null, // name of the priority that was taken, until what learns is changed
  confirmed: null, // the guessed parts of which the person has said that they shall be trained
  form: {}, // the settings that other panels look at, by the names of core.spec.Settings
  formKey: null, // of the model whose usual settings the form began with
  formBack: false, // whether the form is as it was left
  dataset: null, // key of the chosen set, see sets.js
  upload: null, // see upload.js
  draftId: null, // of the data that were brought and are being looked at
  draft: null, // the same as the server has it, see data_draft.js
  draftError: null, // why a change of it was refused
  draftErrorAt: null, // the part of the sheet where it was asked for
  overlong: null, // {key, over}: how many rows of these data are longer than the model takes, once measured
  drafts: [], // all that were brought, as lines
  bringing: null, // what is being done with data that come from elsewhere
  bringError: null, // why data could not be brought
  removing: null, // key of the set whose removal was asked for, until the person has said whether
  job: null, // id of the job in view
  run: null, // see run.js
  howFolded: false, // whether the card "How it runs" is shut
  starting: false,
  startError: null,
  inVain: false, // whether Start was pressed while it could not be
  runError: null, // why the job in view cannot be shown
  knobError: null,
  advice: null, // what the server says of the choice, see advice.js
  memory: { card: "", side: null, tokens: null, open: false }, // what the estimate assumes beside the settings
  memoryKnown: 0, // how many estimates there are, see memory.js
  memoryError: null,
  undo: null, // what was chosen before a change that the page made
};

const listeners = new Set();

// Calls the listener now and whenever one of the named parts of the state is updated; without names, at every update.
export function subscribe(listener, ...names) {
  listeners.add((patch) => (!names.length || names.some((name) => name in patch)) && listener(state, patch));
  listener(state);
}

export function update(patch) {
  Object.assign(state, patch);
  for (const listener of listeners) listener(patch);
  if (REMEMBERED.some((name) => name in patch)) remember();
}

function remember() {
  const kept = Object.fromEntries(REMEMBERED.map((name) => [name, state[name]]));
  sessionStorage.setItem(KEY, JSON.stringify(kept));
}

export function recall() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY)) ?? {};
  } catch {
    return {}; // somebody else wrote there: start afresh
  }
}
