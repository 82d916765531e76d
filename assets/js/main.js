// Puts the moving parts of the page into the places that Gradio has laid out, and opens where the person left off.

import { NOTHING_SELECTED, recall, state, subscribe, update } from "./store.js";
import { getJson } from "./api.js";
import { choiceForServer } from "./choice.js";
import { converted, readForm, writeForm } from "./form.js";
import { labelled, readInspection } from "./model.js";
import { draw, html } from "./html.js";
import { goTo, mountSteps } from "./steps.js";
import { followHistory, stepInAddress } from "./history.js";
import { mountModelPicture, mountSwitchboard } from "./switchboard.js";
import { mountTree } from "./tree.js";
import { mountBudget } from "./budget.js";
import { mountCompare } from "./compare.js";
import { mountExport } from "./export.js";
import { mountMemory } from "./memory.js";
import { mountData } from "./data.js";
import { mountBring } from "./data_bring.js";
import { reopenDraft } from "./data_draft.js";
import { mountDraft } from "./data_sheet.js";
import { mountChosenSet } from "./data_chosen.js";
import { findUpload } from "./upload.js";
import { mountAnswers, mountLog, mountProgress } from "./progress.js";
import { mountPlots } from "./plots.js";
import { mountWatching } from "./watching.js";
import { mountHow } from "./how.js";
import { mountProof } from "./proof.js";
import { mountHero, mountJobs, mountTries } from "./result.js";
import { watch } from "./run.js";
import { NO_ANSWER } from "./words.js";

const MARK = html`<svg viewBox="0 0 26 20" aria-hidden="true"><rect x="0" y="3" width="7" height="14" rx="2" fill="none" stroke="var(--vision)" stroke-width="2" stroke-dasharray="3 2"/><rect x="10" y="6" width="4" height="8" rx="1.5" fill="var(--projector)"/><rect x="17" y="1" width="9" height="18" rx="2" fill="var(--language)"/></svg>`;

function mountTop(element) {
  element.addEventListener("click", (event) => {
    if (!event.target.closest("#theme")) return;
    document.body.classList.toggle("dark");
    localStorage.setItem("studio-theme", document.body.classList.contains("dark") ? "dark" : "light");
    document.dispatchEvent(new Event("studio-theme"));
  });
  subscribe(() => draw(element, html`<header class="top"><b>${MARK}VLM LoRA Studio</b>${state.model && html`<span class="pill">${state.model.label}</span>`}<span class="sp"></span>
    ${state.home && html`<span class="pill" title="${state.home.device.reason}">${state.home.device.label}</span>`}<button id="theme" data-key="theme">Light / dark</button></header>
    ${state.home?.notice && html`<p class="notice" role="status">${state.home.notice}</p>`}`), "model", "home");
}

const PLACES = {
  top: mountTop, nav: mountSteps, "model-picture": mountModelPicture, switchboard: mountSwitchboard, tree: mountTree, memory: mountMemory, compare: mountCompare, export: mountExport, aside: mountBudget,
  bring: mountBring, draft: mountDraft, sets: mountData, "set-in-tokens": mountChosenSet, progress: mountProgress, plots: mountPlots, watching: mountWatching, how: mountHow, answers: mountAnswers, log: mountLog, hero: mountHero, proof: mountProof, tries: mountTries, jobs: mountJobs,
};

// Called by each island of ui/islands.py once it is on the page.
export function mount(place, element) {
  if (element.dataset.mounted) return;
  element.dataset.mounted = "yes";
  PLACES[place](element);
}

async function openModel(key) {
  const data = await getJson(`inspections/${key}`);
  const inspected = readInspection(data);
  const same = state.modelKey === key && state.selection;
  const selection = same ? state.selection : { ...NOTHING_SELECTED, cells: data.default_cells };
  const recipe = same ? state.recipe : { ...state.recipe, components: {} };
  const fresh = same ? {} : { task: null, priority: null, confirmed: null, undo: null, advice: null };
  update({ inspected, model: labelled(inspected, selection.relabels), modelKey: key, modelError: null, selection, recipe, ...fresh });
  if (key !== state.formKey) document.querySelector("#usual-event").click(); // the settings that suit this model
}

// The form holds what suits the model: only now, so that a reload in between asks for it again.
function readUsual(names, values) {
  readForm(names, values);
  update({ formKey: state.modelKey });
}

const NO_ANSWER_AFTER = 15000; // milliseconds; a start takes some hundredths of a second

const unanswered = new Set(); // tickets of clicks on Start

// The ticket tells a new answer, however late it comes, from one that Gradio still holds when a request fails.
function started(answer) {
  const { job, error, ticket } = readAnswer(answer);
  const fresh = unanswered.delete(ticket);
  update({ starting: false, startError: fresh ? (error ?? null) : NO_ANSWER, run: fresh && job ? null : state.before });
  if (fresh && job) watch(job);
}

// Called by the click itself: Gradio takes a moment to read the form, and a second click must not start another job. It
// drops a click without a word while the answer to the one before is not there, or when the connection is lost.
function starting() {
  const ticket = crypto.randomUUID?.() ?? String(Math.random());
  unanswered.add(ticket);
  update({ starting: true, startError: null, inVain: false, runError: null, step: "train", run: null, before: state.run, ticket });
  setTimeout(() => state.starting && state.ticket === ticket && started("{}"), NO_ANSWER_AFTER);
}

function readAnswer(answer) {
  try {
    return JSON.parse(answer);
  } catch {
    return {};
  }
}

// A refusal is about what was asked then: any change of it takes the sentence away. What the page presses by itself, as
// Gradio's hidden buttons, is no change: it may come right after the answer.
const forget = ({ isTrusted, target }) => isTrusted && (state.startError || state.inVain) && !target.closest?.("#start") && update({ startError: null, inVain: false });
document.addEventListener("input", forget);
document.addEventListener("click", forget);

// What Gradio's events call from ui/: plain functions of plain values.
window.studio = {
  openModel: (key) => openModel(key).catch((error) => update({ modelError: error.message })),
  choice: () => JSON.stringify({ ...choiceForServer(), ticket: state.ticket }),
  readForm,
  readUsual,
  writeForm,
  converted,
  modelKey: () => state.modelKey,
  job: () => state.job,
  stop: () => JSON.stringify({ job: state.job, force: state.force }),
  trying: () => JSON.stringify({ job: state.job, picture: state.trying.picture, question: state.trying.question }),
  starting,
  started,
  stopping: () => state.run && update({ run: Object.assign(state.run, { stopping: true, stopError: null }) }),
  stopped: (why) => state.run && update({ run: Object.assign(state.run, { stopping: false, stopError: why || null }) }),
  goTo,
  state,
};

async function begin() {
  const kept = recall();
  const theme = localStorage.getItem("studio-theme");
  if (theme) document.body.classList.toggle("dark", theme === "dark");
  const linked = stepInAddress();
  update(linked ? { ...kept, step: linked } : kept);
  followHistory();
  const home = await getJson("home");
  const dataset = home.datasets.some((set) => set.key === state.dataset) ? state.dataset : home.datasets[0]?.key;
  // The form begins with what suits the demo, or as the person left it.
  const left = kept.form?.unit && kept.form; // a page that was left before all of this had none yet
  update({ home, dataset, recipe: kept.recipe ?? home.defaults, form: left || home.form, formKey: kept.formKey ?? home.model_key, formBack: true });
  if (left) document.querySelector("#form-event").click();
  const job = home.running ?? (home.jobs.some((each) => each.id === state.job) ? state.job : home.jobs[0]?.id);
  findUpload();
  reopenDraft();
  if (job) watch(job);
  if (home.running && !kept.step && !linked) goTo("train");
  if (state.modelKey && state.modelKey !== home.model_key) {
    await openModel(state.modelKey).catch(() => openModel(home.model_key));
  } else await openModel(home.model_key);
}

begin().catch((error) => update({ modelError: error.message }));
