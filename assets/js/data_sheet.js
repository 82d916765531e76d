// The sheet of data that were brought: from how they were understood down to the button that uses them.

import { state, subscribe, update } from "./store.js";
import { draw, html } from "./html.js";
import { count } from "./format.js";
import { cancelWork, close, removalOf, throwAway } from "./data_draft.js";
import { mountReading } from "./data_reading.js";
import { mountRows } from "./data_rows.js";
import { mountChecks } from "./data_checks.js";
import { mountSplit } from "./data_split.js";
import { mountSeen } from "./data_seen.js";
import { mountUse } from "./data_use.js";

const PARTS = [mountReading, mountRows, mountChecks, mountSplit, (element) => mountSeen(element, () => state.draft && `draft:${state.draft.id}`, true), mountUse];

// Data of the Hub have no rows yet while they are fetched.
function fetching({ state: now, progress: { done }, error }) {
  if (now === "failed") return html`<div class="note bad" role="alert"><b>These data cannot be had</b>${error}</div>`;
  return html`<div class="card checking"><p class="waiting" role="status">Fetching rows from the Hub: ${count(done)} so far…</p><button data-cancel data-key="fetching">Cancel</button></div>`;
}

const head = ({ id, title, origin }) => html`<div class="draft-head"><h3>${title}</h3><span class="soft small">${origin !== title && origin}</span><span class="sp"></span><button data-close data-key="draft-close">Later</button>${state.removing === removalOf(id) ? html`<span class="small">Sure?</span><button data-away data-key="draft-away">Throw away</button><button class="quiet" data-removing="" data-key="draft-keep">Keep</button>` : html`<button class="quiet" data-removing="${removalOf(id)}" data-key="draft-keep">Throw away…</button>`}</div>`;

export function mountDraft(element) {
  element.innerHTML = `<div class="draft off-stage"><div></div><div></div>${PARTS.map(() => "<div></div>").join("")}</div>`;
  const sheet = element.firstChild;
  const [top, coming, ...places] = sheet.children;
  PARTS.forEach((mountPart, i) => mountPart(places[i]));
  top.addEventListener("click", ({ target }) => {
    if ("close" in target.dataset) close();
    if ("away" in target.dataset) throwAway(state.draftId);
    if ("removing" in target.dataset) update({ removing: target.dataset.removing });
  });
  coming.addEventListener("click", ({ target }) => "cancel" in target.dataset && cancelWork());
  subscribe(() => {
    sheet.classList.toggle("off-stage", !state.draft);
    if (!state.draft) return;
    const there = Boolean(state.draft.reading);
    for (const place of places) place.classList.toggle("off-stage", !there);
    draw(top, head(state.draft));
    draw(coming, there ? "" : fetching(state.draft));
  }, "draft", "removing");
}
