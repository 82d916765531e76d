// How the data were understood: as what, why, which column holds what, and what is asked; each can be put right.

import { state, subscribe } from "./store.js";
import { html } from "./html.js";
import { chooseFormat, readAs, readColumns } from "./data_draft.js";
import { drawAnew, drawAround, mark, options, refusal } from "./data_fields.js";
import { ASKED_FOR_ALL, FORMATS, PARTS, PARTS_OF, WARNING } from "./data_words.js";

const sentence = (text) => (text ? `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}` : "");

function format({ reading, guess }) {
  const others = guess.others.filter(([name]) => name !== reading.format);
  const hand = reading.format !== guess.reading.format;
  return html`<div class="understood"><label class="field">These are<select data-key="format" id="draft-format">${options(Object.entries(FORMATS).map(([name, [title]]) => [name, title]), reading.format)}</select></label>
    <p>${FORMATS[reading.format][1]} <span class="soft">${hand ? "As you said." : sentence(guess.reason)}</span></p></div>
    ${others.length > 0 && html`<p class="small soft also">Could also be: ${others.slice(0, 3).map(([name, why]) => html`<button class="link" data-format="${name}" data-key="format-${name}" title="${sentence(why)}">${FORMATS[name][0]}</button> `)}</p>`}`;
}

// What is known of a column: why it was taken, as long as it still is.
function why({ reading, guess }, part) {
  const column = reading.columns[part];
  if (!column) return "";
  if (column !== guess.reading.columns[part]) return "as you said";
  const reason = guess.column_reasons[part] ?? "";
  return reason === guess.reason ? "" : reason; // said above already
}

function columnRow(draft, part, needed) {
  const known = draft.reading.columns[part] ?? "";
  const names = [...new Set([...draft.guess.columns, known].filter(Boolean))];
  const none = needed ? (known ? [] : [["", "choose a column"]]) : [["", "none"]];
  return html`<tr><th scope="row"><label for="column-${part}">${PARTS[part]}</label></th><td><select id="column-${part}" data-part="${part}" data-key="column-${part}">${options([...none, ...names.map((name) => [name, name])], known)}</select></td><td class="why">${why(draft, part)}</td></tr>`;
}

function columns(draft) {
  const [needed, others] = PARTS_OF[draft.reading.format];
  const shown = others.filter((part) => draft.guess.columns.length || draft.reading.columns[part]);
  return html`<table class="terms columns"><caption class="visually-hidden">What stands in which column</caption><thead><tr><th scope="col">what</th><th scope="col">column</th><th scope="col" class="why">${[...needed, ...shown].some((part) => why(draft, part)) ? "why" : ""}</th></tr></thead>
    <tbody>${needed.map((part) => columnRow(draft, part, true))}${shown.map((part) => columnRow(draft, part, false))}</tbody></table>`;
}

const text = (name, title, value, hint, placeholder = "") => html`<label class="field wide">${title}<input type="text" maxlength="4000" data-text="${name}" data-key="text-${name}" id="draft-${name.replace("_", "-")}" value="${value}" placeholder="${placeholder}">${hint && html`<small>${hint}</small>`}</label>`;

function wording(draft) {
  const { reading, guess } = draft;
  const inBraces = guess.columns.slice(0, 6).map((name) => `{${name}}`).join(" ");
  const asked = ASKED_FOR_ALL.has(reading.format) || reading.template;
  return html`${asked && text("template", "What is asked of every picture", reading.template, inBraces && `A column’s text goes where its name stands in braces: ${inBraces}`)}${braces(draft)}`;
}

// Names in braces that no column and no part has: they would be asked as they stand.
function unknown({ reading, guess }) {
  const known = new Set([...guess.columns, ...Object.keys(PARTS), ...Object.keys(reading.columns)]);
  const named = [...`${reading.template} ${reading.answer_template}`.matchAll(/\{([^{}\n]{1,100})\}/g)].map(([, name]) => name);
  return [...new Set(named)].filter((name) => !known.has(name));
}

function braces(draft) {
  const names = unknown(draft).map((name) => `{${name}}`);
  return names.length > 0 && html`<p class="trouble" role="status">${mark("warning", WARNING)} No column is called ${names.join(", ")}: ${names.length === 1 ? "it" : "they"} would stand in every row as written, braces and all.</p>`;
}

const number = (name, title, value, low, high, empty, hint) => html`<label class="field">${title}<input type="number" min="${low}" max="${high}" data-number="${name}" data-key="number-${name}" id="draft-${name.replace("_", "-")}" value="${value ?? ""}" placeholder="${empty}"><small>${hint}</small></label>`;

function advanced(draft) {
  const { reading, guess } = draft;
  const pick = (part, hint) => guess.columns.length > 0 && html`<label class="field">${PARTS[part]}<select data-part="${part}" data-key="column-${part}" id="column-${part}">${options([["", "none"], ...[...new Set([...guess.columns, reading.columns[part]].filter(Boolean))].map((name) => [name, name])], reading.columns[part] ?? "")}</select><small>${hint}</small></label>`;
  return html`<div class="fields">${text("answer_template", "How an answer is worded", reading.answer_template, "Such as: This is {label}. Empty: the answer as it stands.")}
    ${text("system", "System prompt", reading.system, "Said to the model before every row that has none of its own.")}
    ${pick("language", "Kept with the row, for adapters of several languages.")}${number("limit", "Rows at most", reading.limit, 2, 10000000, "all", "The first ones are taken.")}${number("max_side", "Longest side, pixels", reading.max_side, 16, 16384, "as they are", "Larger pictures are made smaller when the data are stored.")}</div>`;
}

function onChange(element, { target }) {
  const { part, text: name, number: figure } = target.dataset;
  if (target.id === "draft-format") return chooseFormat(target.value);
  if (part) return readColumns(part, target.value);
  if (name) return readAs({ [name]: target.value });
  if (figure) return readAs({ [figure]: target.value === "" ? null : Number(target.value) });
  return undefined;
}

export function mountReading(element) {
  element.innerHTML = `<section class="card" aria-labelledby="h-understood"><div class="cap"><h3 id="h-understood">How it was understood</h3><span>put right what is not so; the rows below follow</span></div>
    <div class="what"></div><div class="refused" role="alert"></div><div class="columns-box"></div><div class="wording"></div>
    <details class="fold" id="draft-advanced"><summary><b>Advanced</b></summary><div class="inside"></div></details></section>`;
  const find = (name) => element.querySelector(name);
  element.addEventListener("change", (event) => onChange(element, event));
  element.addEventListener("click", ({ target }) => target.dataset.format && chooseFormat(target.dataset.format));
  subscribe((_, patch) => {
    const { draft, draftError } = state;
    if (!draft?.reading) return;
    const put = draftError && patch && "draftError" in patch ? drawAnew : drawAround;
    put(find(".what"), format(draft));
    put(find(".columns-box"), columns(draft));
    put(find(".wording"), wording(draft));
    put(find("#draft-advanced .inside"), advanced(draft));
    drawAround(find(".refused"), refusal("understood"));
  }, "draft", "draftError");
}
