// What the page knows, in one place. A panel subscribes, and draws itself anew from the state; nothing else holds state.
// The person's choices are remembered for this tab, so that a reload finds them again.

const REMEMBERED = ["step", "modelKey", "cells", "include", "exclude", "rank", "alpha", "preset", "dataset", "job"];
const KEY = "vlm-lora-studio";

export const state = {
  step: "model", // model | targets | data | train | result
  home: null, // what the server offers: device, presets, data sets, jobs
  modelKey: null, // config hash of the inspection in hand
  model: null, // see model.js
  modelError: null,
  cells: null, // array of "component.role"; null until a preset is applied
  include: [], // single modules taken in
  exclude: [], // single modules left out
  rank: 8,
  alpha: 16,
  preset: null, // name of the preset that was pressed last: two can fall on the same cells
  dataset: null,
  job: null, // id of the job in view
  run: null, // see run.js
  starting: false,
  startError: null,
  runError: null, // why the job in view cannot be shown
  knobError: null,
};

const listeners = new Set();

// Calls the listener now and whenever one of the named parts of the state is updated; without names, at every update.
export function subscribe(listener, ...names) {
  listeners.add((patch) => (!names.length || names.some((name) => name in patch)) && listener(state));
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
