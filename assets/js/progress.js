// The job in view: its state in words, how far it is, the same few held-out pictures before and now, and its log.

import { state, subscribe } from "./store.js";
import { draw, html } from "./html.js";
import { getJson, pictureUrl } from "./api.js";
import { count, duration, figure, percent } from "./format.js";
import { STATE_NAME } from "./words.js";
import { isRunning } from "./run.js";
import { diagnoses, isDiagnosed } from "./diagnosis.js";

const PATIENCE = 15000; // milliseconds before a stop may be hurried

function facts(run) {
  const { status } = run;
  const last = run.train.at(-1);
  const items = [
    status.total_steps > 0 && ["step", `${count(status.step)} of ${count(status.total_steps)}`],
    status.steps_per_second && ["speed", speed(status, last)],
    isRunning() && status.eta_seconds !== null && ["left", `about ${duration(status.eta_seconds)}`],
    last && ["loss", figure(last.loss)],
    keptEarlier(run) && ["adapter of", `step ${count(status.kept_step)}`],
    status.trainable && ["training", `${count(status.trainable)} parameters`],
  ].filter(Boolean);
  return html`<div class="facts-row">${items.map(([name, value]) => html`<span>${name} <b>${value}</b></span>`)}</div>`;
}

const speed = (status, last) => [`${figure(status.steps_per_second)} steps/s`, last?.rows_per_second && `${figure(last.rows_per_second)} rows/s`].filter(Boolean).join(", ");

// A stop lets the step end and saves; one that takes long can be hurried.
function stopButton(run) {
  if (!isRunning()) return "";
  if (run.stoppingSince && Date.now() - run.stoppingSince > PATIENCE) return html`<button id="stop" data-key="stop" data-force="yes">End it now</button>`;
  const asked = run.stopping || run.status.state === "stopping";
  return html`<button id="stop" data-key="stop" ${asked ? html`disabled` : ""}>${asked ? "Stopping, saving what it has…" : "Stop and keep what it has"}</button>`;
}

const samePhase = ({ phase, state: name }) => [name, STATE_NAME[name].toLowerCase()].includes(phase.toLowerCase());

function head(run) {
  const { status, info } = run;
  const kind = status.state === "finished" ? "ok" : ["failed", "lost"].includes(status.state) ? "bad" : "";
  const share = status.total_steps ? Math.min(1, status.step / status.total_steps) : 0;
  return html`<div class="card"><div class="run-head"><div><h3>${info.name} <span class="badge ${status.state}" role="status">${STATE_NAME[status.state]}</span></h3>
    <p class="small soft">${run.offline ? "The server does not answer; training goes on, and the page finds it again." : samePhase(status) ? "" : status.phase}</p></div>${stopButton(run)}</div>
    <div class="progress ${kind}" role="progressbar" aria-label="Steps done" aria-valuemin="0" aria-valuemax="100" aria-valuenow="${Math.round(100 * share)}"><i style="width:${100 * share}%"></i></div>
    ${facts(run)}
    ${run.stopError && html`<div class="note bad" role="alert" style="margin-top:12px"><b>Not stopped</b>${run.stopError}</div>`}
    ${status.error && !isDiagnosed(run) && html`<div class="note bad" role="alert" style="margin-top:12px"><b>${STATE_NAME[status.state]}</b>${status.error}</div>`}
    ${diagnoses(run)}
    ${status.device && html`<p class="small soft" style="margin-top:10px">Runs on ${status.device}</p>`}</div>`;
}

export const same = (answer, expected) => normal(answer) === normal(expected);
const normal = (text) => (text ?? "").trim().toLowerCase().replace(/\.$/, "").trim();

const verdict = (answer, expected) => (answer === undefined || answer === null ? html`<span class="soft">…</span>` : html`<span class="${same(answer, expected) ? "right" : "wrong"}" title="${answer}">${answer || "(nothing)"}</span>`);

// Whether the adapter holds the weights of a step before the last one.
export const keptEarlier = ({ status }) => Boolean(status.kept_step && status.kept_step !== status.step && !isRunning());

// The newest answers; once the training is over those of the weights that became the adapter.
function answersNow(run) {
  const kept = !isRunning() && run.answers.find(({ step }) => step === run.status.kept_step);
  return kept || run.answers.at(-1);
}

export function answersTable(run) {
  if (!run.samples.length) return "";
  const latest = answersNow(run);
  const now = new Map((latest?.answers ?? []).map((each) => [each.index, each.answer]));
  return html`<div class="card"><div class="cap"><strong>The same pictures, before and ${isRunning() ? "now" : "after"}</strong><span>held out: never trained on${latest ? ` · at step ${count(latest.step)}${keptEarlier(run) ? ", whose weights are the adapter’s" : ""}` : ""}</span></div>
    <table class="answers"><thead><tr><th scope="col">picture</th><th scope="col" class="q">question</th><th scope="col">expected</th><th scope="col">base model</th><th scope="col">${isRunning() ? "now" : "after"}</th></tr></thead><tbody>
    ${run.samples.map((sample) => html`<tr><td><img src="${pictureUrl(`jobs/${run.id}/pictures`, sample.picture)}" alt="held-out picture ${sample.index}"></td><td class="q">${sample.question}</td><td>${sample.expected}</td>
      <td class="says">${verdict(sample.base, sample.expected)}</td><td class="says">${verdict(now.get(sample.index), sample.expected)}</td></tr>`)}</tbody></table></div>`;
}

export function mountProgress(element) {
  element.addEventListener("click", (event) => {
    const stop = event.target.closest("#stop");
    if (!stop) return;
    state.force = Boolean(stop.dataset.force);
    document.querySelector("#stop-event").click();
  });
  subscribe(() => {
    if (state.step !== "train") return undefined;
    if (state.starting) return draw(element, html`<div class="card waiting">Starting the job…</div>`);
    if (state.runError) return draw(element, html`<div class="note bad" role="alert"><b>This job cannot be shown.</b>${state.runError}</div>`);
    if (!state.run) return draw(element, html`<div class="card empty"><b>Nothing has been trained yet.</b>Press “Start training”: the loss, the answers and the log appear here, and go on when you close the page.</div>`);
    return draw(element, head(state.run));
  }, "run", "step", "starting", "runError");
}

export function mountAnswers(element) {
  subscribe(() => state.step === "train" && draw(element, state.run ? answersTable(state.run) : ""), "run", "step");
}

export function mountLog(element) {
  element.innerHTML = '<div class="card off-stage"><details><summary>Log and choices made</summary><div class="choices small"></div><pre class="log" tabindex="0" aria-label="Log of the worker"></pre></details></div>';
  const details = element.querySelector("details");
  const box = element.querySelector(".log");
  let [job, next, reading] = [null, 0, false];
  const read = async () => {
    if (!details.open || !state.run || reading) return;
    if (job !== state.run.id) [job, next, box.textContent] = [state.run.id, 0, ""];
    reading = true;
    const part = await getJson(`jobs/${job}/log?since=${next}`).catch((error) => ({ text: `${error.message}\n`, next }));
    reading = false;
    if (job !== state.run?.id) return; // another job was opened meanwhile
    const atEnd = box.scrollTop + box.clientHeight >= box.scrollHeight - 8;
    box.textContent = (box.textContent + part.text).slice(-60000);
    next = part.next;
    if (atEnd) box.scrollTop = box.scrollHeight;
  };
  details.addEventListener("toggle", read);
  setInterval(() => isRunning() && read(), 2000);
  subscribe((now) => {
    element.firstChild.classList.toggle("off-stage", !now.run);
    if (!now.run) return;
    draw(element.querySelector(".choices"), html`${now.run.notes.map((note) => html`<p>${note.text}</p>`)}`);
    if (!isRunning()) read();
  }, "run");
}
