// What was found in the data: errors first, each with its places and the button that puts it right. What is left out is
// said, and can be taken back.

import { state, subscribe } from "./store.js";
import { draw, html } from "./html.js";
import { count } from "./format.js";
import { cancelWork, isWorking, leavable, leaveErrorsOut, readAs, remedy, takeBack } from "./data_draft.js";
import { hold, mark, refusal } from "./data_fields.js";
import { ERROR, LEFT_OUT, WARNING } from "./data_words.js";

const FEW = 20;
const open = new Set(); // kinds whose places are shown
let held = null; // the draft whose findings are in sight
const whole = new Set(); // kinds of which all known places are shown

function place({ file, row, detail }) {
  return html`<li><span class="mono">${file}${row ? `, row ${count(row)}` : ""}</span>${detail && html` <span class="soft">${detail}</span>`}</li>`;
}

function places(finding) {
  const { kind, places: known, count: all } = finding;
  if (!known.length) return "";
  const isOpen = open.has(kind);
  const shown = whole.has(kind) ? known : known.slice(0, FEW);
  const more = known.length > shown.length;
  return html`<button class="link" data-places="${kind}" data-key="places-${kind}" aria-expanded="${String(isOpen)}">${isOpen ? "Hide where" : "Show where"}</button>
    ${isOpen && html`<ul class="places">${shown.map(place)}</ul><p class="small soft">${shown.length < all ? `${shown.length} of ${count(all)} are shown. ` : ""}${more && html`<button class="link" data-whole="${kind}" data-key="whole-${kind}">Show ${known.length}</button>`}</p>`}`;
}

const CHOSEN = "chosen"; // left out by hand, one by one

function button(finding) {
  const isOut = finding.kind === CHOSEN || state.draft.reading.drop.includes(finding.kind);
  if (isOut) return html`<button data-back="${finding.kind}" data-key="remedy-${finding.kind}">${finding.count === 1 ? "Take it back in" : "Take them back in"}</button>`;
  return finding.action && html`<button data-remedy="${finding.kind}" data-key="remedy-${finding.kind}">${finding.action}</button>`;
}

function item(finding) {
  const { severity, title, reason, remedy: what, left_out: out } = finding;
  const isOut = out > 0 || state.draft.reading.drop.includes(finding.kind);
  const [kind, words] = isOut ? ["left", LEFT_OUT] : severity === "error" ? ["error", ERROR] : ["warning", WARNING];
  return html`<li class="finding ${kind}"><div><p>${mark(kind, words)} <b>${isOut ? title.replace(/^Left out: /, "") : title}</b></p><p class="soft">${reason}. ${what}.</p>${places(finding)}</div>${button(finding)}</li>`;
}

function summary({ rows, usable, pictures, findings }) {
  const left = rows - usable;
  const errors = findings.filter(({ severity }) => severity === "error").length;
  const warnings = findings.filter(({ severity, kind, left_out: out }) => severity !== "error" && !out && kind !== CHOSEN).length;
  const many = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
  const head = errors ? mark("error", [ERROR[0], many(errors, "error")]) : warnings ? mark("warning", [WARNING[0], many(warnings, "warning")]) : mark("fine", ["✓", "Nothing stands in the way"]);
  return html`<p class="facts-row">${head}${errors > 0 && warnings > 0 && html`<span>and ${many(warnings, "warning")}</span>`}<span><b>${count(rows)}</b> rows read</span>${left > 0 && html`<span><b>${count(left)}</b> not used</span>`}<span><b>${count(pictures)}</b> different pictures</span></p>`;
}

function working({ progress: { done, total } }) {
  const share = total ? Math.min(1, done / total) : null;
  const said = total && done >= total ? `All ${count(done)} rows are read; comparing them with each other…` : `Checking every row and picture: ${count(done)}${total ? ` of about ${count(total)}` : ""} so far…`;
  return html`<div class="checking"><p class="waiting" role="status">${said}</p><button data-cancel data-key="check">Cancel</button></div>
    <div class="progress ${share === null && "endless"}" role="progressbar" aria-label="Rows checked" ${share === null ? "" : html`aria-valuemin="0" aria-valuemax="100" aria-valuenow="${Math.round(100 * share)}"`}><i style="width:${share === null ? 30 : 100 * share}%"></i></div>`;
}

function body(draft) {
  if (draft.state === "checking" || draft.state === "looking") return working(draft);
  const again = html`<button data-again data-key="check">Check again</button>`;
  if (draft.state === "failed" && !draft.report) return html`<div class="note bad refusal" role="alert"><span><b>The check did not end</b>${draft.error}</span>${again}</div>`;
  if (!draft.report) return html`<div class="checking"><p class="soft">The check was cancelled. Data can be used when they have been checked.</p>${again}</div>`;
  const errors = leavable(draft.report);
  const all = errors.length > 1 && html`<button data-leave-all data-key="leave-all">Leave all rows with errors out</button>`;
  return html`<div class="checking">${summary(draft.report)}${all}</div>${refusal("checks")}<ul class="findings">${draft.report.findings.map(item)}</ul>`;
}

const toggle = (set, kind) => (set.has(kind) ? set.delete(kind) : set.add(kind));

export function mountChecks(element) {
  element.innerHTML = '<section class="card" aria-labelledby="h-checks"><div class="cap"><h3 id="h-checks">Checks</h3><span>errors block, warnings explain</span></div><div class="body"></div></section>';
  const box = element.querySelector(".body");
  const show = () => {
    if (!state.draft?.reading) return;
    hold(box, state.draft.id === held && isWorking());
    held = state.draft.id;
    draw(box, body(state.draft));
  };
  const finding = (kind) => state.draft.report.findings.find((each) => each.kind === kind);
  element.addEventListener("click", (event) => {
    const { cancel, again, remedy: kind, back, places: where, whole: all, leaveAll } = event.target.closest("button")?.dataset ?? {};
    if (cancel !== undefined) cancelWork();
    else if (again !== undefined) readAs({});
    else if (kind) remedy(finding(kind));
    else if (leaveAll !== undefined) leaveErrorsOut();
    else if (back) takeBack(back);
    else if (where) toggle(open, where);
    else if (all) whole.add(all);
    show();
  });
  subscribe(show, "draft", "draftError");
}
