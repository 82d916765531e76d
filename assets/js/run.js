// One job in view: reads its points from where it stopped reading, and finds all of them again after a reload.

import { state, update } from "./store.js";
import { getJson } from "./api.js";

const ENDED = new Set(["finished", "stopped", "failed", "lost"]);
const INTERVAL = { seen: 500, hidden: 3000 };

export const isRunning = () => Boolean(state.run && !ENDED.has(state.run.status.state));

const empty = (id, info) => ({ id, info, status: info.status, next: 0, train: [], evals: [], samples: [], answers: [], notes: [] });

function take(run, lines) {
  for (const line of lines) {
    if (line.kind === "train") run.train.push(line);
    else if (line.kind === "eval") run.evals.push(line);
    else if (line.kind === "samples") run.samples = line.samples;
    else if (line.kind === "answers") run.answers.push(line);
    else if (line.kind === "note") run.notes.push(line);
  }
}

let watching = 0;

// Watches a job until it ends; watching another one ends this.
export async function watch(id) {
  const mine = ++watching;
  let run;
  try {
    run = empty(id, await getJson(`jobs/${id}`));
  } catch (error) {
    return update({ job: null, run: null, startError: error.message });
  }
  update({ job: id });
  while (mine === watching) {
    if (await readOn(run)) {
      if (mine !== watching) return undefined;
      update({ run });
      if (ENDED.has(run.status.state)) return settle(run);
    }
    await new Promise((resolve) => setTimeout(resolve, document.hidden ? INTERVAL.hidden : INTERVAL.seen));
  }
  return undefined;
}

// True when the server answered; a server that restarts is simply asked again.
async function readOn(run) {
  try {
    const part = await getJson(`jobs/${run.id}/series?since=${run.next}`);
    run.status = part.status;
    take(run, part.lines);
    const more = part.next !== run.next && part.lines.length > 0;
    run.next = part.next;
    run.offline = false;
    return ENDED.has(part.status.state) && more ? readOn(run) : true;
  } catch {
    if (!run.offline) update({ run: Object.assign(run, { offline: true }) });
    return false;
  }
}

// What is known only at the end: the adapter's size, and the job's line in the list.
async function settle(run) {
  run.info = await getJson(`jobs/${run.id}`);
  update({ run });
  return refreshJobs();
}

async function refreshJobs() {
  const { jobs } = await getJson("jobs");
  update({ home: { ...state.home, jobs } });
}
