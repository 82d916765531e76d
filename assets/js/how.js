// How a job runs: what was chosen for it, by whom and why, and which levers make it faster; each can be set otherwise for
// the next start. The fields that are set here are those of the settings' form.

import { state, subscribe } from "./store.js";
import { draw, html } from "./html.js";
import { setForm } from "./form.js";
import { currentMemory } from "./memory.js";
import { isRunning } from "./run.js";
import { CHOICES, LEVERS } from "./words.js";

const inWords = (value) => (value === true ? "on" : value === false ? "off" : value === null || value === undefined ? "none" : String(value));

// What the studio would choose for the next start, as far as the memory's estimate has told.
function foreseen({ name, value }) {
  const found = currentMemory()?.choices?.find((each) => each.name === name);
  return found?.by === "studio" && found.value !== value && html`<small class="soft" title="${found.reason}">that would be ${inWords(found.value)}</small>`;
}

// How the next start is to have it.
function control(name) {
  const { title, options, most } = CHOICES[name] ?? {};
  if (!(name in state.form) || (!options && !most)) return "";
  const value = state.form[name] ?? "";
  const about = html`data-how="${name}" data-key="how-${name}" aria-label="${title}, next time"`;
  if (most) return html`<input type="number" min="1" max="${most}" step="1" placeholder="as many as fit" ${about} value="${value}">`;
  return html`<select ${about}>${options.map(([each, text]) => html`<option value="${each}" ${each === value ? html`selected` : ""}>${text}</option>`)}</select>`;
}

const by = (who) => `chosen by ${who === "you" ? "you" : "the studio"}`;

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}${/[.?!]$/.test(text) ? "" : "."}`;

const choiceRow = (preview) => ({ name, value, reason, by: who }) => html`<tr><th scope="row">${CHOICES[name]?.title ?? name}</th><td class="value">${inWords(value)}<span class="who">${by(who)}</span></td><td class="why">${reason && sentence(reason)}</td><td class="next">${control(name)}${!preview && control(name) && foreseen({ name, value })}</td></tr>`;

function leverControl(name) {
  if (!state.form.levers) return "";
  const on = state.form.levers.includes(name);
  return html`<label class="switch-box"><input type="checkbox" data-lever="${name}" data-key="lever-${name}" ${on ? html`checked` : ""} aria-label="${LEVERS[name] ?? name}, next time"> <span>${on ? "where it is exact" : "left off"}</span></label>`;
}

const leverRow = ({ name, on, reason }) => html`<tr class="${on ? "on" : "off"}"><th scope="row">${LEVERS[name] ?? name}</th><td class="value">${on ? html`<span class="yes">✓ on</span>` : html`<span class="no">– off</span>`}</td><td class="why">${reason}</td><td class="next">${leverControl(name)}</td></tr>`;

const LEVERS_LEAD = "Which levers make it faster is tried when it starts, and said here with the reasons: what is learned stays the same.";

const table = (title, rows, preview) => rows.length > 0 && html`<table class="how"><thead><tr><th scope="col">${title}</th><th scope="col">is</th><th scope="col" class="why">because</th><th scope="col" class="next">${preview ? "set it" : "next time"}</th></tr></thead><tbody>${rows}</tbody></table>`;

// What was settled: of the job in view, or else what the next start would settle.
function settled() {
  const { run } = state;
  if (run) return { title: isRunning() ? "How it runs" : "How it ran", choices: run.choices, levers: run.levers };
  return { title: "How it would run", choices: currentMemory()?.choices ?? [], levers: [], preview: true };
}

function body() {
  const { title, choices, levers, preview } = settled();
  if (!choices.length && !levers.length) return "";
  const on = levers.filter((each) => each.on).length;
  return html`<div class="card"><details data-how-fold ${state.howFolded ? "" : html`open`}><summary data-key="how-fold">${title}${levers.length > 0 && html`<span class="soft"> · ${on} of ${levers.length} levers on</span>`}</summary>
    ${table(preview ? "chosen at the start" : "chosen", choices.map(choiceRow(preview)), preview)}${table("lever", [...levers].sort((a, b) => b.on - a.on).map(leverRow))}
    <p class="small soft">${preview ? LEVERS_LEAD : html`${LEVERS_LEAD} What you set under “next time” counts for the next start.`}</p></details></div>`;
}

function onChange({ target }) {
  const { how, lever } = target.dataset;
  if (how) setForm({ [how]: target.value });
  if (!lever) return;
  const others = state.form.levers.filter((name) => name !== lever);
  setForm({ levers: target.checked ? [...others, lever] : others });
}

export function mountHow(element) {
  element.addEventListener("change", onChange);
  element.addEventListener("toggle", ({ target }) => "howFold" in target.dataset && (state.howFolded = !target.open), true);
  subscribe(() => {
    if (state.step !== "train") return;
    const text = body();
    element.classList.toggle("off-stage", !text);
    draw(element, text);
  }, "run", "step", "form", "memoryKnown", "selection", "recipe");
}
