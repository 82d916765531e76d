// The end of the sheet: a title, and the button that makes a data set of what was brought.

import { state, subscribe } from "./store.js";
import { html } from "./html.js";
import { count } from "./format.js";
import { chosenSet } from "./sets.js";
import { cancelWork, isBlocked, isWorking, store } from "./data_draft.js";
import { drawAround } from "./data_fields.js";

// Why the data cannot be used yet, or nothing.
function why(draft) {
  if (isWorking(draft)) return "The check is still running.";
  if (!draft.report) return "The data have not been checked.";
  if (isBlocked(draft)) return "The check found errors: put them right above, or leave those rows out.";
  return "";
}

function storing({ progress: { done, total }, report }) {
  const all = total ?? report?.usable ?? 0;
  const share = all ? Math.min(1, done / all) : 0;
  return html`<div class="checking"><p class="waiting" role="status">Storing ${count(done)}${all ? ` of ${count(all)}` : ""} rows…</p><button data-cancel data-key="use">Cancel</button></div>
    <div class="progress" role="progressbar" aria-label="Rows stored" aria-valuemin="0" aria-valuemax="100" aria-valuenow="${Math.round(100 * share)}"><i style="width:${100 * share}%"></i></div>`;
}

function body(draft) {
  if (draft.state === "storing") return storing(draft);
  const reason = why(draft);
  return html`<form class="use"><label class="field">Title<input type="text" id="draft-title" data-key="draft-title" maxlength="80" value="${draft.title}"></label>
    <button class="primary" id="use-data" data-key="use" ${reason ? html`aria-disabled="true" aria-describedby="not-yet"` : ""}>Use this data</button><p class="small soft" id="not-yet">${reason || html`<span class="num">${count(draft.report.train)}</span> rows to learn from become a data set of yours and are chosen for training.`}${chosenSet() && ` Until then “${chosenSet().title}” is chosen.`}</p></form>
    ${draft.state === "failed" && draft.report && html`<div class="note bad" role="alert"><b>Not stored</b>${draft.error}</div>`}${state.draftError && html`<div class="note bad"><b>This was not done</b>${state.draftError}</div>`}`;
}

export function mountUse(element) {
  element.innerHTML = '<section class="card" aria-labelledby="h-use"><div class="cap"><h3 id="h-use">Use this data</h3></div><div class="body"></div></section>';
  element.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!why(state.draft)) store(element.querySelector("#draft-title").value.trim());
  });
  element.addEventListener("click", ({ target }) => "cancel" in target.dataset && cancelWork());
  subscribe(() => state.draft?.reading && drawAround(element.querySelector(".body"), body(state.draft)), "draft", "draftError", "dataset");
}
