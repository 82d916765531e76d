// The first rows of the data that were brought, as they would be asked and answered; one with trouble says so.

import { state, subscribe } from "./store.js";
import { draw, html } from "./html.js";
import { url } from "./api.js";
import { leaveOut, readAs } from "./data_draft.js";
import { mark } from "./data_fields.js";
import { ERROR, LEFT_OUT, SIDES, SPEAKERS, WARNING } from "./data_words.js";

const FEW = 6;
const view = { all: false, id: null };

// Another reading has other pictures under the same numbers: the address changes with it.
const version = (text) => [...text].reduce((sum, sign) => (sum * 31 + sign.charCodeAt(0)) >>> 0, 7).toString(36);

const said = (parts) => parts.map((part) => ("text" in part ? part.text : "")).join(" ").trim();

// What is asked and what is answered; of a longer conversation all before the last answer.
function told(turns) {
  const spoken = turns.filter(({ speaker }) => speaker !== "system");
  const last = spoken.at(-1)?.speaker === "assistant" ? spoken.at(-1) : null;
  const before = last ? spoken.slice(0, -1) : spoken;
  const asked = before.length === 1 ? said(before[0].parts) : before.map(({ speaker, parts }) => html`<b>${SPEAKERS[speaker] ?? speaker}:</b> ${said(parts)}<br>`);
  return { asked, answer: last ? said(last.parts) : "" };
}

const where = ({ file, row, detail }) => `${file}${row ? `, row ${row}` : ""}${detail ? ` (${detail})` : ""}`;

const OF_THE_FILE = "encoding"; // said once among the checks

function trouble(row) {
  return row.trouble.filter(({ kind }) => kind !== OF_THE_FILE).map(({ title, detail }) => html`<p class="trouble">${row.turns.length ? mark("warning", WARNING) : mark("error", ERROR)} ${title}${detail && html`: <span class="soft">${detail}</span>`}</p>`);
}

function tableRow(draft, row, stamp, sides) {
  const { number } = row; // over all rows, where those in sight are of different classes
  const { asked, answer } = told(row.turns);
  const out = draft.reading.drop_rows.includes(number);
  const again = () => html`<button class="quiet" data-in="${number}" data-key="row-${number}" aria-label="Take row ${number + 1} back">Take back</button>`;
  const leave = () => html`<button class="quiet" data-out="${number}" data-key="row-${number}" aria-label="Leave row ${number + 1} out">Leave out</button>`;
  return html`<tr class="${out && "out"}"><td><span class="thumbs">${row.pictures.slice(0, 4).map((n) => html`<img src="${url(`drafts/${draft.id}/pictures/${n}?v=${stamp}`)}" alt="Picture of row ${number + 1}" loading="lazy">`)}${row.pictures.length > 4 && html`<small>+${row.pictures.length - 4}</small>`}</span></td>
    <td class="q"><span class="clamp">${asked}</span></td><td class="a"><span class="clamp">${answer}</span>${trouble(row)}</td>${sides && html`<td class="side">${out ? mark("left", LEFT_OUT) : SIDES[row.side] ?? row.side}</td>`}
    <td class="place"><span>${where(row.place)}</span>${row.turns.length > 0 && (out ? again() : leave())}</td></tr>`;
}

function table(draft) {
  const { rows } = draft;
  if (!rows.length) return html`<p class="soft">No row can be read like this. Choose another format or other columns above.</p>`;
  const stamp = version(JSON.stringify(draft.reading));
  const sides = draft.reading.drop_rows.length > 0 || rows.some(({ side }) => side);
  const shown = view.all ? rows : rows.slice(0, FEW);
  const first = rows.at(-1).number < rows.length;
  return html`<div class="scroll"><table class="rows"><thead><tr><th scope="col">picture</th><th scope="col">asked</th><th scope="col">answer to learn</th>${sides && html`<th scope="col">side</th>`}<th scope="col">where</th></tr></thead>
    <tbody>${shown.map((row) => tableRow(draft, row, stamp, sides))}</tbody></table></div>
    ${rows.length > FEW && html`<button class="link" data-all data-key="rows-all">${view.all ? "Show fewer" : first ? `Show all of the first ${rows.length} rows` : `Show all ${rows.length} rows that were picked`}</button>`}`;
}

// A picture that cannot be opened says so, in place of the browser's broken sign.
function replaceBroken({ target }) {
  if (target.tagName !== "IMG") return;
  const box = document.createElement("span");
  Object.assign(box, { className: "no-picture", textContent: "cannot be shown" });
  target.replaceWith(box);
}

export function mountRows(element) {
  element.innerHTML = '<section class="card" aria-labelledby="h-rows"><div class="cap"><h3 id="h-rows"></h3><span>real ones, as they stand in the data</span></div><div class="table"></div></section>';
  const box = element.querySelector(".table");
  const show = () => {
    if (!state.draft?.reading) return;
    const { rows } = state.draft;
    element.querySelector("h3").textContent = rows.length && rows.at(-1).number >= rows.length ? "Some rows of different classes" : "The first rows";
    draw(box, table(state.draft));
  };
  element.addEventListener("error", replaceBroken, true);
  element.addEventListener("click", ({ target }) => {
    const { out, in: back, all } = target.dataset;
    if (out) leaveOut([Number(out)]);
    if (back) readAs({ drop_rows: state.draft.reading.drop_rows.filter((row) => row !== Number(back)) });
    if (all === undefined) return;
    view.all = !view.all;
    show();
  });
  subscribe(() => {
    if (state.draft?.id !== view.id) Object.assign(view, { all: false, id: state.draft?.id });
    show();
  }, "draft");
}
