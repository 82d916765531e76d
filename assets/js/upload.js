// An upload on its way: in parts, several files at a time. After a lost connection it goes on by itself; after a reload
// it goes on when the same files are chosen again. The server says what it has.

import { state, update } from "./store.js";
import { getJson, postJson, putBytes, remove } from "./api.js";
import { titleOf } from "./data_files.js";

const PART = 4 * 1024 * 1024; // bytes, as ui/data/uploads.py expects them
const AT_ONCE = 3;
const PATIENCE = 1500; // milliseconds before the server is asked again
const TRIES = 3; // of a part that the server refuses while it does answer
const KEY = "vlm-lora-studio-upload";

let stopped = null;

const pause = () => new Promise((resolve) => setTimeout(resolve, PATIENCE));
const sum = (numbers) => numbers.reduce((all, n) => all + n, 0);

function show(patch) {
  if (state.upload) update({ upload: { ...state.upload, ...patch } });
}

// Sends files, [{file, name}], and returns the draft that they became; null where it was cancelled.
export async function upload(given) {
  const files = given.map(({ file, name }) => ({ name, size: file.size }));
  stopped = new AbortController();
  update({ upload: { phase: "sending", title: titleOf(files.map(({ name }) => name)), files, received: files.map(() => 0), total: sum(files.map(({ size }) => size)) } });
  try {
    const { id } = await postJson("uploads", { files }, stopped.signal);
    sessionStorage.setItem(KEY, id);
    show({ id });
    return await send(given.map(({ file }) => file));
  } catch (error) {
    return ended(error);
  }
}

// Goes on with an upload that a reload has cut off; the files are told by their names and sizes.
export async function goOn(given) {
  const { files } = state.upload;
  const mine = files.map((wanted) => given.find(({ file, name }) => file.size === wanted.size && (name === wanted.name || file.name === wanted.name.split("/").at(-1)))?.file);
  const missing = files.filter((_, i) => !mine[i] && state.upload.received[i] < files[i].size);
  if (missing.length) return show({ error: `${missing.length === 1 ? "A file is" : `${missing.length} files are`} not among these: ${missing.slice(0, 3).map(({ name }) => name).join(", ")}. Choose the same files as before, or throw the upload away.` });
  stopped = new AbortController();
  show({ phase: "sending", error: null });
  try {
    return await send(mine);
  } catch (error) {
    return ended(error);
  }
}

// What a reload has left behind, if anything.
export async function findUpload() {
  const id = sessionStorage.getItem(KEY);
  if (!id || state.upload) return;
  try {
    const { files, received } = await getJson(`uploads/${id}`);
    update({ upload: { id, phase: "cut off", title: titleOf(files.map(({ name }) => name)), files, received, total: sum(files.map(({ size }) => size)) } });
  } catch (error) {
    if (error.status) sessionStorage.removeItem(KEY);
  }
}

// Nothing of it stays, here or on the server.
export async function cancelUpload() {
  stopped?.abort();
  const id = state.upload?.id;
  forget();
  if (id) await remove(`uploads/${id}`).catch(() => null); // what does not answer is swept later
}

function forget() {
  sessionStorage.removeItem(KEY);
  update({ upload: null });
}

// A refusal: the sentence is shown, and nothing stays. What was cancelled says nothing.
async function ended(error) {
  if (error.name === "AbortError") return null;
  await cancelUpload();
  throw error;
}

async function send(files) {
  const waiting = files.keys();
  const worker = async () => {
    for (const number of waiting) if (files[number]) await sendFile(files[number], number);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  show({ phase: "reading" });
  const draft = await postJson(`uploads/${state.upload.id}/finish`, {}, stopped.signal);
  forget();
  return draft;
}

async function sendFile(file, number) {
  let tries = 0;
  while (state.upload && state.upload.received[number] < file.size) {
    const from = state.upload.received[number];
    try {
      const { received } = await putBytes(`uploads/${state.upload.id}/${number}?offset=${from}`, file.slice(from, from + PART), stopped.signal);
      arrived(number, received);
      tries = 0;
    } catch (error) {
      if (error.name === "AbortError") throw error;
      if (error.status && error.status < 500 && ++tries >= TRIES) throw error;
      await catchUp(number);
    }
  }
  if (stopped.signal.aborted) throw new DOMException("the upload was cancelled", "AbortError");
}

function arrived(number, bytes) {
  show({ phase: "sending", received: state.upload.received.map((before, i) => (i === number ? bytes : before)) });
}

// Waits until the server answers again, and learns what it has of a file.
async function catchUp(number) {
  for (;;) {
    show({ phase: "waiting" });
    await pause();
    if (stopped.signal.aborted) throw new DOMException("the upload was cancelled", "AbortError");
    try {
      const { received } = await getJson(`uploads/${state.upload.id}`);
      return arrived(number, received[number]);
    } catch (error) {
      if (error.status && error.status < 500) throw error;
    }
  }
}
