// What came of it: accuracy before and after, the adapter to take home, and the jobs that went before.

import { state, subscribe } from "./store.js";
import { draw, html } from "./html.js";
import { pictureUrl, url } from "./api.js";
import { ago, bytes, count, percent, when } from "./format.js";
import { COMPONENT_SHORT, METHODS, STARTS, STATE_NAME } from "./words.js";
import { isRunning, watch } from "./run.js";
import { answersTable, keptEarlier } from "./progress.js";
import { scoresTable } from "./scores.js";

const TOLD = 0.9; // a loss below this share of the one before is no chance

const NOTHING = html`<div class="card empty"><b>No result yet.</b>When a job has finished, its accuracy before and after, a box to compare both models and the adapter to download stand here.</div>`;

// Where no more answers are right: whether the loss says that it learned all the same. A caption is seldom the same word by word.
function noGain(before, after) {
  if (!(after.loss < TOLD * before.loss)) return "This training did not help.";
  return `But it learned something: the loss on them fell from ${before.loss.toFixed(2)} to ${after.loss.toFixed(2)}. Only answers that are the same word by word count as right; train for more steps, and look at the answers below.`;
}

const ENDED_EARLY = { stopped: " The job was stopped early; this is what it had.", failed: " The training failed; this is what it had until then." };

function saying(run) {
  const { before, after, majority, kept_step: kept, state: how } = run.status;
  const gain = after.exact_match - before.exact_match;
  const times = before.exact_match > 0 && gain > 0 ? ` (${(after.exact_match / before.exact_match).toFixed(1)}×)` : "";
  const first = gain > 0 ? `${count(after.correct)} of ${count(after.rows)} held-out answers are right, up from ${count(before.correct)}${times}.` : `${count(after.correct)} of ${count(after.rows)} held-out answers are right; before, ${count(before.correct)} were. ${noGain(before, after)}`;
  const guess = majority ? ` Always giving the most common answer would score ${percent(majority)}${after.exact_match < majority ? ": still better than this" : ""}.` : "";
  return `${first}${guess}${ENDED_EARLY[how] ?? ""}${keptEarlier(run) ? ` The adapter holds the weights of step ${count(kept)}, ${how === "failed" ? "the last that were sound" : "which were the best"}.` : ""}`;
}

function hero(run) {
  const { status, info } = run;
  if (!status.after) return unmeasured(run);
  return html`<div class="card"><div class="cap"><strong>${info.name}</strong><span>${info.model} · ${info.data}</span></div>
    <div class="hero"><div class="figure">${percent(status.before.exact_match)}<small>right before</small></div><div class="to" aria-hidden="true">→</div>
      <div class="figure ${status.after.exact_match > Math.max(status.before.exact_match, status.majority ?? 0) ? "after" : "poor"}">${percent(status.after.exact_match)}<small>right after</small></div><p class="say">${saying(run)}</p></div>
    ${scoresTable(run)}${download(run)}${made(info, status)}</div>`;
}

function download({ id, info }) {
  if (!info.adapter_bytes) return "";
  return html`<div class="hero-actions"><a class="button primary" id="download" href="${url(`jobs/${id}/adapter.zip`)}" download>Download the adapter</a>
    <span class="small soft">one zip: adapter (${bytes(info.adapter_bytes)}), model card, curves, settings. PEFT loads it as it is.</span></div>`;
}

// A job without a measured result: still on its way, or ended before it could look again.
function unmeasured(run) {
  const { status, info } = run;
  if (!info.adapter_bytes) return html`<div class="card empty"><b>${info.name}: ${STATE_NAME[status.state].toLowerCase()}</b>${status.error ?? (isRunning() ? "The result appears when the job has finished." : "It ended before there was anything to save.")}</div>`;
  return html`<div class="card"><div class="cap"><strong>${info.name}</strong><span>${STATE_NAME[status.state]}</span></div>
    <p>The adapter was saved; how well it answers was not measured${status.unmeasured && `: ${status.unmeasured}`}. ${status.error}</p>${download(run)}${made(info, status)}</div>`;
}

const modulesOf = ({ target_modules: targets, target_parameters: parameters, full_modules: full }) => new Set([...targets, ...parameters.map((name) => name.slice(0, name.lastIndexOf("."))), ...full]).size;

function adapterInWords(plan) {
  const method = METHODS.find(([name]) => name === plan.method)[1];
  const start = plan.start !== "default" && `start ${STARTS.find(([name]) => name === plan.start)[1]}`;
  const own = plan.overrides.map((each) => `${COMPONENT_SHORT[each.component]} rank ${each.rank}, alpha ${each.alpha}`);
  const full = plan.full_modules.length > 0 && `${count(plan.full_modules.length)} modules in full`;
  return [`${method}, rank ${plan.rank}, alpha ${plan.alpha}, dropout ${plan.dropout}`, start, plan.lora_bias && "LoRA bias", ...own, full].filter(Boolean).join("; ");
}

function made(info, status) {
  const { plan, settings } = info.spec;
  const parts = Object.entries(info.by_component ?? {}).filter(([, n]) => n).map(([name, n]) => `${COMPONENT_SHORT[name]} ${count(n)}`).join(", ");
  const rows = [
    ["trained", `${count(status.trainable ?? info.spec.trainable)} parameters in ${count(modulesOf(plan))} modules${parts ? ` (${parts})` : ""}`],
    ["adapter", adapterInWords(plan)],
    ["settings", `${count(status.step)} steps of ${settings.batch_size * settings.accumulation} rows, learning rate ${settings.learning_rate}, ${settings.schedule}, seed ${settings.seed}`],
  ];
  return html`<details style="margin-top:12px"><summary>How it was made</summary><table class="jobs-list">${rows.map(([name, text]) => html`<tr><th scope="row">${name}</th><td>${text}</td></tr>`)}</table></details>`;
}

export function mountHero(element) {
  subscribe(() => state.step === "result" && draw(element, state.run ? html`${hero(state.run)}${state.run.samples.length ? html`<div style="margin-top:16px">${answersTable(state.run)}</div>` : ""}` : NOTHING), "run", "step");
}

// Held-out pictures to try; a click asks both models about it through Gradio's event.
export function mountTries(element) {
  element.addEventListener("click", (event) => {
    const button = event.target.closest("[data-sample]");
    if (!button) return;
    state.trying = state.run.samples[Number(button.dataset.sample)];
    document.querySelector("#try-event").click();
  });
  subscribe(() => {
    const there = Boolean(state.run?.info.adapter_bytes) && !isRunning();
    document.querySelector("#compare-box")?.classList.toggle("off-stage", !there);
    if (state.step !== "result" || !there) return;
    draw(element, html`<p class="small soft" style="margin-bottom:6px">Try a held-out picture, or bring your own:</p><div class="tries">${state.run.samples.map((sample, i) => html`<button data-sample="${i}" data-key="try-${i}" aria-label="Ask about held-out picture ${i + 1}: ${sample.question}"><img src="${pictureUrl(`jobs/${state.run.id}/pictures`, sample.picture)}" alt=""></button>`)}</div>`);
  }, "run", "step");
}

// What tells a job from another one: how it was adapted, which parts learned, and for how long.
function jobInWords({ method, rank, parts, steps, epochs }) {
  const learned = parts.map((name) => COMPONENT_SHORT[name]).join(" + ") || "single modules";
  const length = steps ? `${count(steps)} ${steps === 1 ? "step" : "steps"}` : `${epochs} ${epochs === 1 ? "epoch" : "epochs"}`;
  return `${METHODS.find(([name]) => name === method)[1]}, rank ${rank} · ${learned} · ${length}`;
}

function jobRow(job) {
  const { status } = job.id === state.run?.id ? state.run : { status: job };
  const result = status.after ? `${percent(status.before?.exact_match)} → ${percent(status.after.exact_match)}` : "–";
  const started = html`<time datetime="${new Date(job.created * 1000).toISOString()}" title="${when(job.created)}">${ago(job.created)}</time>`;
  return html`<tr><td><button data-job="${job.id}" data-key="job-${job.id}" aria-current="${String(job.id === state.job)}">${job.name}</button><small class="how">${jobInWords(job)}</small><small class="how narrow">${job.data} · ${started}</small></td>
    <td><span class="badge ${status.state}">${STATE_NAME[status.state]}</span></td><td class="opt">${job.model}</td><td class="opt">${job.data}</td><td class="opt">${count(job.trainable)}</td><td class="gain">${result}</td><td class="opt">${started}</td></tr>`;
}

export function mountJobs(element) {
  element.addEventListener("click", (event) => {
    const button = event.target.closest("[data-job]");
    if (!button) return;
    watch(button.dataset.job);
    window.scrollTo({ top: 0, behavior: "smooth" });
  });
  const show = () => {
    if (state.step !== "result" || !state.home) return undefined;
    const { jobs } = state.home;
    if (!jobs.length) return draw(element, "");
    return draw(element, html`<div class="card"><div class="cap"><strong>Jobs so far</strong><span>click one to open it again</span></div><table class="jobs-list"><thead><tr><th scope="col">job</th><th scope="col">state</th><th scope="col" class="opt">model</th><th scope="col" class="opt">data</th><th scope="col" class="opt">trained</th><th scope="col">right, before → after</th><th scope="col" class="opt">started</th></tr></thead><tbody>${jobs.map(jobRow)}</tbody></table></div>`);
  };
  subscribe(show, "home", "job", "step", "run");
  setInterval(show, 30000); // what was a minute ago is two
}
