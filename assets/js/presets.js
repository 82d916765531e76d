// Usual choices to begin with: what learns, what suits a task, and which layers come first.

import { state, subscribe } from "./store.js";
import { draw, html } from "./html.js";
import { activePreset, applyPreset, current } from "./choice.js";
import { takeTask, takePriority } from "./tasks.js";
import { NO_SUCH_PART, NO_PRIORITY, NO_TASK } from "./words.js";

function chips() {
  const active = activePreset();
  const { presets } = state.model;
  const missing = presets.filter((preset) => !preset.cells.length).map((preset) => preset.title);
  return html`<div class="chips" role="group" aria-label="Presets">${presets.map((preset) => html`
    <button data-preset="${preset.name}" data-key="preset-${preset.name}" title="${preset.cells.length ? preset.why : NO_SUCH_PART}" aria-pressed="${String(preset === active)}" ${preset.cells.length ? "" : html`disabled`}>${preset.title}</button>`)}</div>
    ${missing.length > 0 && html`<p class="small soft preset-why">${missing.join(", ")}: ${NO_SUCH_PART}</p>`}`;
}

const option = (each, chosen) => html`<option value="${each.name}" ${each.name === chosen ? html`selected` : ""} ${each.missing ? html`disabled` : ""}>${each.title}</option>`;

function pickers() {
  const { tasks, priorities } = state.model;
  if (!tasks.length && !priorities.length) return "";
  return html`<div class="pickers">
    ${tasks.length > 0 && html`<label>For a task <select id="task" data-key="task"><option value="">${NO_TASK}</option>${tasks.map((each) => option(each, state.task?.name))}</select></label>`}
    ${priorities.length > 0 && html`<label>Priority <select id="priority" data-key="priority"><option value="">${NO_PRIORITY}</option>${priorities.map((each) => option(each, state.priority))}</select></label>`}</div>`;
}

function why() {
  const task = state.task && state.model.tasks.find((each) => each.name === state.task.name);
  const priority = state.model.priorities.find((each) => each.name === state.priority);
  const preset = task ? null : activePreset();
  const lines = [(task ?? preset)?.why, ...(state.task?.notes ?? []), priority?.why].filter(Boolean);
  return lines.map((line) => html`<p class="small soft preset-why">${line}</p>`);
}

export function mountPresets(element) {
  element.addEventListener("click", (event) => {
    const { preset } = event.target.closest("[data-preset]")?.dataset ?? {};
    if (preset) applyPreset(state.model.presets.find((each) => each.name === preset));
  });
  element.addEventListener("change", (event) => {
    if (event.target.id === "task") takeTask(event.target.value);
    if (event.target.id === "priority") takePriority(event.target.value);
  });
  subscribe(() => state.step === "targets" && current() && draw(element, html`${chips()}${pickers()}${why()}`), "model", "selection", "recipe", "step", "task", "priority");
}
