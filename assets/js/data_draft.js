// The data that were brought and are being looked at: read from the server, changed there, and asked after while it works.

import { state, update } from "./store.js";
import { getJson, postJson, remove } from "./api.js";
import { chooseDataset } from "./data.js";
import { STORED, readSets } from "./sets.js";

const WORKING = new Set(["looking", "checking", "storing"]);
const PAUSE = 500; // milliseconds between two looks

const GONE = 404;

const whyClosed = (error) => (error.status === GONE ? "These data are no longer here; they were thrown away, perhaps in another tab. Bring them again." : error.message);

let changes = 0; // counts what was asked for, so that an older answer never replaces a newer one
let queue = Promise.resolve();
let timer = null;

export const isWorking = (draft = state.draft) => Boolean(draft) && WORKING.has(draft.state);
export const isBlocked = ({ report }) => Boolean(report?.findings.some((finding) => finding.severity === "error"));

// Puts a draft on the table, or takes what the server says of it now.
export function adopt(draft) {
  clearTimeout(timer);
  update({ draft, draftId: draft.id, draftError: null });
  if (isWorking(draft)) timer = setTimeout(look, PAUSE);
}

async function look() {
  const before = changes;
  const id = state.draftId;
  try {
    const draft = await getJson(`drafts/${id}`);
    if (before === changes && id === state.draftId) await ended(draft);
  } catch (error) {
    if (id !== state.draftId) return;
    if (error.status) close(whyClosed(error));
    else timer = setTimeout(look, 3 * PAUSE); // the server is asked until it answers
  }
}

// A draft whose storing has just ended becomes the chosen set.
async function ended(draft) {
  const stored = state.draft?.state === "storing" && draft.state === "stored";
  if (!stored) return adopt(draft);
  await readSets();
  chooseDataset(STORED + draft.stored);
  close();
  document.querySelector("#sets")?.scrollIntoView({ block: "start" });
  document.querySelector("#sets input:checked")?.focus({ preventScroll: true });
}

export async function openDraft(id) {
  try {
    adopt(await getJson(`drafts/${id}`));
    listDrafts();
  } catch (error) {
    close(whyClosed(error));
  }
}

// After a reload: the draft that was open, and all others that were brought.
export function reopenDraft() {
  listDrafts();
  if (state.draftId) getJson(`drafts/${state.draftId}`).then(adopt, () => update({ draftId: null }));
}

let listings = 0; // an older list never replaces a newer one

export async function listDrafts() {
  const mine = ++listings;
  const { drafts } = await getJson("drafts").catch(() => state);
  if (mine === listings) update({ drafts });
}

// Takes the draft off the table; it stays on the server until it is thrown away.
export function close(why = null) {
  clearTimeout(timer);
  changes += 1;
  update({ draft: null, draftId: null, draftError: null, bringError: why });
  listDrafts();
}

// The key under which the page remembers that its removal was asked for.
export const removalOf = (id) => `draft:${id}`;

export async function throwAway(id) {
  update({ removing: null });
  if (id === state.draftId) close();
  await remove(`drafts/${id}`).catch((error) => update({ bringError: error.message }));
  listDrafts();
}

// One change after the other, each from what the one before has left. A refused one leaves the draft as it was.
function change(path, body, at) {
  const id = state.draftId;
  queue = queue.then(async () => {
    if (id !== state.draftId) return;
    clearTimeout(timer);
    changes += 1;
    try {
      const answer = await postJson(`drafts/${id}/${path}`, body());
      if (id === state.draftId) adopt(answer.id ? answer : { ...state.draft, state: "storing", progress: { done: 0, total: null } });
    } catch (error) {
      if (error.status === GONE) return close(whyClosed(error));
      update({ draftError: error.message, draftErrorAt: at });
      if (isWorking()) timer = setTimeout(look, PAUSE);
    }
  });
  return queue;
}

// A refusal is said in the part of the sheet where the change was asked for.
export const readAs = (patch, at = "understood") => change("reading", () => ({ reading: { ...state.draft.reading, ...patch } }), at);
export const readColumns = (part, column) => change("reading", () => ({ reading: { ...state.draft.reading, columns: withColumn(part, column) } }), "understood");
export const readSplit = (patch) => change("reading", () => ({ reading: { ...state.draft.reading, split: { ...state.draft.reading.split, ...patch } } }), "split");
export const chooseFormat = (format) => change("format", () => ({ format }), "understood");
export const cancelWork = () => change("cancel", () => ({}), "use");
export const store = (title) => change("store", () => ({ title }), "use");

function withColumn(part, column) {
  const { [part]: _, ...columns } = state.draft.reading.columns;
  return column ? { ...columns, [part]: column } : columns;
}

// What a finding's button does: lists are added to, values set.
export function remedied(reading, { change: wanted }) {
  const merged = Object.entries(wanted).map(([name, value]) => {
    if (Array.isArray(value)) return [name, [...new Set([...reading[name], ...value])]];
    return [name, value && typeof value === "object" ? { ...reading[name], ...value } : value];
  });
  return Object.fromEntries(merged);
}

export const remedy = (finding) => change("reading", () => ({ reading: { ...state.draft.reading, ...remedied(state.draft.reading, finding) } }), "checks");

// The errors whose button leaves rows out, and does nothing else.
export const leavable = ({ findings }) => findings.filter(({ severity, action, change: wanted }) => severity === "error" && action && Object.keys(wanted).join() === "drop");
export const leaveErrorsOut = () => readAs({ drop: [...new Set([...state.draft.reading.drop, ...leavable(state.draft.report).flatMap(({ change: wanted }) => wanted.drop)])] }, "checks");

// Takes rows back in that were left out: a kind of trouble, or those that were chosen by hand.
export const takeBack = (kind) => readAs(kind === "chosen" ? { drop_rows: [] } : { drop: state.draft.reading.drop.filter((each) => each !== kind) }, "checks");
export const leaveOut = (rows) => readAs({ drop_rows: [...new Set([...state.draft.reading.drop_rows, ...rows])].sort((a, b) => a - b) }, "checks");
