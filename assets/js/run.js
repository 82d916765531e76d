// One job in view: reads its points from where it stopped reading, and finds all of them again after a reload.

import { state, update } from "./store.js";
import { getJson } from "./api.js";

const ENDED = new Set(["finished", "stopped", "failed", "lost"]);
const INTERVAL = { seen: 500, hidden: 3000 };

export const isRunning = () => Boolean(state.run && !ENDED.has(state.run.status.state));

const empty = (id, info) => ({
  id, info, status: info.status, next: 0, whole: false, proof: null, best: null, layers: [], modules: [], samples: [],
  train: [], evals: [], answers: [], notes: [], choices: [], levers: [], norms: [], flows: [], ranks: [], diagnoses: [],
});

const pause = () => new Promise((resolve) => setTimeout(resolve, document.hidden ? INTERVAL.hidden : INTERVAL.seen));

// Kinds of points that are gathered -> where; of the others the last one counts.
const GATHERED = { train: "train", eval: "evals", answers: "answers", note: "notes", norms: "norms", flow: "flows", ranks: "ranks", diagnosis: "diagnoses" };
const LAST = { samples: (run, line) => (run.samples = line.samples), layers: (run, line) => (run.layers = line.layers), rank_modules: (run, line) => (run.modules = line.modules), best: (run, line) => (run.best = line) };
const NAMED = { choice: "choices", lever: "levers" }; // a later one of the same name takes the place of the first

function take(run, lines) {
  for (const line of lines) {
    if (line.kind in GATHERED) run[GATHERED[line.kind]].push(line);
    else if (line.kind in LAST) LAST[line.kind](run, line);
    else if (line.kind in NAMED) put(run[NAMED[line.kind]], line);
  }
}

function put(list, line) {
  const at = list.findIndex(({ name }) => name === line.name);
  if (at >= 0) list[at] = line;
  else list.push(line);
}

// Asks until the server answers: one that restarts is simply asked again. A refusal in words is passed on.
async function patiently(path, current) {
  for (;;) {
    try {
      const answer = await getJson(path);
      if (current() && state.run?.offline) state.run.offline = false;
      return answer;
    } catch (error) {
      if (error.status || !current()) throw error;
      if (state.run && !state.run.offline) update({ run: Object.assign(state.run, { offline: true }) });
      await pause();
    }
  }
}

let watching = 0;
let compared = null;

// Watches a job until it ends; watching another one ends this, whatever is still on its way.
export async function watch(id) {
  const mine = ++watching;
  const current = () => mine === watching;
  if (id !== compared) document.querySelector("#clear-event")?.click(); // another job's answers must not stand here
  compared = id;
  update({ job: id, runError: null });
  try {
    const info = await patiently(`jobs/${id}`, current);
    if (state.home && !state.home.jobs.some((job) => job.id === id)) await listJobs(current);
    if (current()) await follow(empty(id, info), current);
  } catch (error) {
    if (current()) update({ run: null, job: null, runError: error.message });
  }
}

async function follow(run, current) {
  for (;;) {
    const part = await patiently(`jobs/${run.id}/series?since=${run.next}`, current);
    if (!current()) return;
    run.status = part.status;
    take(run, part.lines);
    run.next = part.next;
    const ended = ENDED.has(part.status.state);
    run.stoppingSince ??= part.status.state === "stopping" ? Date.now() : null;
    update({ run });
    if (ended && !part.lines.length) break;
    if (!ended) await pause();
  }
  await settle(run, current);
}

// What is known only at the end: the adapter's size, the proof of what changed, and the job's line in the list.
async function settle(run, current) {
  const info = await patiently(`jobs/${run.id}`, current);
  const { proof } = await patiently(`jobs/${run.id}/proof`, current);
  await listJobs(current);
  if (current()) update({ run: Object.assign(run, { info, proof, whole: true }) });
}

async function listJobs(current) {
  const { jobs } = await patiently("jobs", current);
  if (current() && state.home) update({ home: { ...state.home, jobs } });
}
