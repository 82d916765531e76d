// Where a person brings pictures of their own: dropped or chosen files, a folder of the server, a data set of the Hub;
// and what was brought before.

import { state, subscribe, update } from "./store.js";
import { draw, html } from "./html.js";
import { postJson } from "./api.js";
import { bytes, when } from "./format.js";
import { STORED, setOf } from "./sets.js";
import { ACCEPTED } from "./data_words.js";
import { filesChosen, filesDropped } from "./data_files.js";
import { adopt, listDrafts, openDraft, removalOf, throwAway } from "./data_draft.js";
import { cancelUpload, goOn, upload } from "./upload.js";

const sum = (numbers) => numbers.reduce((all, n) => all + n, 0);

const SHELL = `<section class="card bring" aria-label="Bring your own pictures">
  <div class="cap"><h3>Bring your own pictures</h3><span>nothing is trained before you have seen how they were understood</span></div>
  <div class="zone"></div><div class="said" role="alert"></div>
  <details class="fold quiet-fold" id="from-folder"><summary>A folder on this machine</summary><div class="inside"></div></details>
  <details class="fold quiet-fold" id="from-hub"><summary>A data set of the Hub</summary><div class="inside"></div></details>
  <div class="before"></div>
  <input type="file" id="bring-files" multiple accept="${ACCEPTED}" tabindex="-1" class="visually-hidden" aria-label="Files to bring">
  <input type="file" id="bring-folder" webkitdirectory tabindex="-1" class="visually-hidden" aria-label="Folder to bring"></section>`;

const FOLDER = `<form data-from="folder"><label class="field">Folder <input type="text" id="folder-path" placeholder="/data/my-pictures" required></label><button>Look at it</button></form>`;
const HUB = `<form data-from="hub"><div class="fields"><label class="field">Data set <input type="text" id="hub-name" placeholder="owner/name" required></label>
  <label class="field">Revision <input type="text" id="hub-revision" placeholder="newest"></label><label class="field">Split <input type="text" id="hub-split" placeholder="train"></label>
  <label class="field">Rows at most <input type="number" id="hub-limit" min="2" placeholder="all"></label></div><button>Fetch it</button></form>`;

const invitation = () => html`<div class="drop"><p><b>Drop a zip, a folder or files here</b><span class="soft">Pictures in one folder per class, or with a table of captions, questions or labels: CSV, JSON, JSON Lines, Parquet</span></p>
  <span class="two"><button class="primary" data-choose="files" data-key="choose-files">Choose files</button><button data-choose="folder" data-key="choose-folder">Choose a folder</button></span></div>`;

const PHASES = { sending: "Uploading", waiting: "The connection was lost; it goes on as soon as the server answers", reading: "Looking at what it is", "cut off": "This upload was cut off" };

function onTheWay({ phase, title, files, received, total, error }) {
  const sent = sum(received);
  const share = total ? sent / total : 1;
  const cut = phase === "cut off";
  return html`<div class="drop"><div class="way"><p><b>${title}</b><span class="soft" role="status">${PHASES[phase]}${cut ? `: choose the same ${files.length === 1 ? "file" : "files"} again, and only the rest is sent.` : "…"}</span></p>
    <div class="progress" role="progressbar" aria-label="Sent" aria-valuemin="0" aria-valuemax="100" aria-valuenow="${Math.round(100 * share)}"><i style="width:${100 * share}%"></i></div>
    <p class="small soft num">${bytes(sent)} of ${bytes(total)}${files.length > 1 ? `, ${received.filter((n, i) => n >= files[i].size).length} of ${files.length} files` : ""}</p>${error && html`<p class="small">${error}</p>`}</div>
    <span class="two">${cut && html`<button class="primary" data-choose="${files.some(({ name }) => name.includes("/")) ? "folder" : "files"}" data-key="choose-files">Go on</button>`}<button data-cancel data-key="cancel-upload">${cut ? "Throw it away" : "Cancel"}</button></span></div>`;
}

function zone() {
  if (state.upload) return onTheWay(state.upload);
  if (state.bringing) return html`<div class="drop"><p class="waiting" role="status">${state.bringing}</p></div>`;
  return invitation();
}

const sure = (id) => html`<button data-away="${id}" data-key="away-${id}">Throw away</button><button class="quiet" data-removing="" data-key="keep-${id}">Keep</button>`;

const FEW = 3; // of what was brought before
const view = { all: false };

const became = (stored) => (!stored ? "not used yet" : setOf(STORED + stored) ? "became a data set" : "its data set was deleted");

function earlier() {
  const others = state.drafts.filter(({ id }) => id !== state.draftId);
  if (!others.length) return "";
  const shown = view.all ? others : others.slice(0, FEW);
  return html`<div class="cap small">Brought before</div><ul>${shown.map(({ id, title, origin, created, stored }) => html`<li><span><b>${title}</b> <span class="soft">${[origin !== title && origin, created && when(created), became(stored)].filter(Boolean).join(" · ")}</span></span>
    <span class="two">${state.removing === removalOf(id) ? html`Sure? ${sure(id)}` : html`<button data-open="${id}" data-key="open-${id}" aria-label="Open ${title}">Open</button><button class="quiet" data-removing="${removalOf(id)}" data-key="keep-${id}" aria-label="Throw ${title} away">Throw away…</button>`}</span></li>`)}</ul>${others.length > FEW && html`<button class="link" data-all data-key="all-brought">${view.all ? "Show fewer" : `Show all ${others.length}`}</button>`}`;
}

async function bring(asking, said = null) {
  update({ bringError: null, bringing: said });
  try {
    const draft = await asking;
    if (draft) adopt(draft);
    if (draft) document.querySelector("#draft")?.scrollIntoView({ block: "start", behavior: "smooth" });
    update({ bringing: null });
  } catch (error) {
    update({ bringing: null, bringError: error.message });
  }
  listDrafts();
}

const give = (given) => given.length && bring(state.upload ? goOn(given) : upload(given));

function onSubmit(event) {
  event.preventDefault();
  const value = (id) => event.target.querySelector(`#${id}`).value.trim();
  if (event.target.dataset.from === "folder") return bring(postJson("drafts", { folder: value("folder-path") }), "Looking at the folder…");
  const limit = value("hub-limit") ? Number(value("hub-limit")) : null;
  return bring(postJson("drafts", { hub: value("hub-name"), revision: value("hub-revision"), split: value("hub-split"), limit }), "Fetching the rows from the Hub…");
}

function onClick(element, { target }) {
  const { choose, cancel, open, away, removing, all } = target.closest("button")?.dataset ?? {};
  if (choose) element.querySelector(`#bring-${choose}`).click();
  else if (cancel !== undefined) cancelUpload();
  else if (open) openDraft(open);
  else if (away) throwAway(away);
  else if (removing !== undefined) update({ removing });
  else if (all !== undefined) {
    view.all = !view.all;
    update({ drafts: state.drafts });
  }
}

// A drop anywhere on the step counts; beside the step the browser would open the file.
function takeDrops(element) {
  const step = document.querySelector("#step-data") ?? element;
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
  step.addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    element.classList.add("over");
  });
  step.addEventListener("dragleave", (event) => !step.contains(event.relatedTarget) && element.classList.remove("over"));
  step.addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    element.classList.remove("over");
    if (!state.upload || state.upload.phase === "cut off") filesDropped(event.dataTransfer).then(give, (error) => update({ bringError: `The files cannot be read: ${error.message}.` }));
  });
}

export function mountBring(element) {
  element.innerHTML = SHELL;
  const find = (name) => element.querySelector(name);
  find("#from-folder .inside").innerHTML = FOLDER;
  find("#from-hub .inside").innerHTML = HUB;
  element.addEventListener("click", (event) => onClick(element, event));
  element.addEventListener("submit", onSubmit);
  element.addEventListener("change", ({ target }) => {
    if (target.type !== "file") return;
    const given = filesChosen(target);
    target.value = ""; // the same files can be chosen again
    give(given);
  });
  takeDrops(element);
  subscribe(() => {
    draw(find(".zone"), zone());
    draw(find(".said"), state.bringError ? html`<div class="note bad"><b>This did not work</b>${state.bringError}</div>` : "");
    draw(find(".before"), earlier());
  }, "upload", "bringError", "bringing", "drafts", "draftId", "removing", "home");
}
