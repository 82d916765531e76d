// The end of the sheet: a title, and the button that makes a data set of what was brought.

import { state, subscribe } from "./store.js";
import { html } from "./html.js";
import { count } from "./format.js";
import { chosenSet } from "./sets.js";
import { WARNING } from "./data_words.js";
import { cancelWork, isBlocked, isWorking, store } from "./data_draft.js";
import { drawAround, mark, refusal } from "./data_fields.js";

const view = { id: null, title: null }; // what was typed as a title, kept while other things of the draft change

const titleOf = ({ id, title }) => (view.id === id ? view.title : title);

// Why the data cannot be used yet, or nothing.
function why(draft) {
  if (isWorking(draft)) return "The check is still running.";
  if (!draft.report) return "The data have not been checked.";
  if (isBlocked(draft)) return "The check found errors: put them right above, or leave those rows out.";
  return "";
}

// Told by what was measured for the chosen model; another model may take them.
function overlong(draft) {
  const { key, over } = state.overlong ?? {};
  if (key !== `draft:${draft.id}` || !over || isWorking(draft)) return "";
  return html`<p class="trouble" role="status">${mark("warning", WARNING)} ${over === 1 ? "1 row is" : `${count(over)} rows are`} longer than ${state.model.label} takes: a training on it would be refused. Leave ${over === 1 ? "it" : "them"} out above, under “What the model will get”.</p>`;
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
  return html`<form class="use"><label class="field">Title<input type="text" id="draft-title" data-key="draft-title" data-kept maxlength="80" value="${titleOf(draft)}"></label>
    <button class="primary" id="use-data" data-key="use" ${reason ? html`aria-disabled="true" aria-describedby="not-yet"` : ""}>Use this data</button><p class="small soft" id="not-yet">${reason || html`<span class="num">${count(draft.report.train)}</span> rows to learn from become a data set of yours and are chosen for training.`}${chosenSet() && ` Until then “${chosenSet().title}” is chosen.`}</p></form>${overlong(draft)}
    ${draft.state === "failed" && draft.report && html`<div class="note bad" role="alert"><b>Not stored</b>${draft.error}</div>`}${refusal("use")}`;
}

export function mountUse(element) {
  element.innerHTML = '<section class="card" aria-labelledby="h-use"><div class="cap"><h3 id="h-use">Use this data</h3></div><div class="body"></div></section>';
  element.addEventListener("input", ({ target }) => target.id === "draft-title" && Object.assign(view, { id: state.draft.id, title: target.value }));
  element.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!why(state.draft)) store(element.querySelector("#draft-title").value.trim());
  });
  element.addEventListener("click", ({ target }) => "cancel" in target.dataset && cancelWork());
  subscribe(() => state.draft?.reading && drawAround(element.querySelector(".body"), body(state.draft)), "draft", "draftError", "dataset", "overlong");
}
