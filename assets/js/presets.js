// Usual choices to begin with: what learns, what suits a task, and which layers come first.

import { state, subscribe } from "./store.js";
import { draw, html } from "./html.js";
import { activePreset, applyPreset, current } from "./choice.js";
import { takeTask, takePriority } from "./tasks.js";
import { NO_SUCH_PART, NO_PRIORITY, NO_TASK, OWN_CHOICE } from "./words.js";

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
  return lines.length ? lines : [OWN_CHOICE];
}

let shown = {};

// A toggle stays under the hand that presses it: whatever it does to the reasons above it, they keep their height. What
// is pressed to take another choice stands above them, and then they take the height that they need.
function drawWhy(element) {
  const [lines, { preset, task, priority }] = [why(), state];
  const said = lines.join("\n");
  if (said === shown.said && preset === shown.preset) return;
  const toggled = shown.said && preset === shown.preset && !task && !priority;
  element.style.minHeight = toggled && element.offsetHeight ? `${element.offsetHeight}px` : "";
  shown = { said, preset };
  draw(element, html`${lines.map((line) => html`<p class="small soft preset-why">${line}</p>`)}`);
}

export function mountPresets(element) {
  element.innerHTML = '<div></div><div class="whys"></div>';
  const [choices, reasons] = element.children;
  element.addEventListener("click", (event) => {
    const { preset } = event.target.closest("[data-preset]")?.dataset ?? {};
    if (preset) applyPreset(state.model.presets.find((each) => each.name === preset));
  });
  element.addEventListener("change", (event) => {
    if (event.target.id === "task") takeTask(event.target.value);
    if (event.target.id === "priority") takePriority(event.target.value);
  });
  subscribe(() => {
    if (state.step !== "targets" || !current()) return;
    draw(choices, html`${chips()}${pickers()}`);
    drawWhy(reasons);
  }, "model", "selection", "recipe", "step", "task", "priority");
}
