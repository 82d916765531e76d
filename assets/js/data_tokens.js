// One row as tokens: each in a box of its own, what is learned underlined and coloured, a picture's as one box.

import { html } from "./html.js";
import { count } from "./format.js";

const MOST = 600; // boxes of a row; the rest is told by its number

// Runs of a picture's tokens stand as one.
export function gathered(tokens) {
  const runs = [];
  for (const [text, kind, learned, n = 1] of tokens) {
    const last = runs.at(-1);
    if (kind === "image" && last?.kind === "image") last.count += n;
    else runs.push({ text, kind, learned, count: n });
  }
  return runs;
}

const SPECIAL = /^<[^<>\s]+>$/;

function box({ text, kind, learned, count: n }) {
  if (kind === "image") return html`<span class="token image" title="${text}">${count(n)} image ${n === 1 ? "token" : "tokens"}</span>`;
  const what = `${learned ? "learned " : ""}${SPECIAL.test(text) ? "special" : ""}`;
  const lines = text.split("\n");
  return html`<span class="token ${what}">${lines.map((line, i) => html`${i > 0 && html`<i aria-hidden="true">↵</i><br>`}${line.replace(/ /g, "\u00a0")}`)}</span>\u200b`;
}

const facts = ({ image, text, learned }) => `${count(image + text)} tokens: ${count(image)} of pictures, ${count(text)} of text; ${count(learned)} are learned`;

// A row of the answer of /studio/preview; `number` counts from 0.
export function tokenRow(row, number) {
  if (row.error) return html`<article class="seen-row"><h4>Row ${number + 1}</h4><p class="soft">${row.error}</p></article>`;
  const runs = gathered(row.tokens);
  const pictures = row.pictures.map((address, i) => html`<figure>${address ? html`<img src="${address}" alt="Picture ${i + 1} of row ${number + 1} as the model gets it">` : ""}<figcaption>${row.notes?.[i]}</figcaption></figure>`);
  return html`<article class="seen-row"><h4>Row ${number + 1} <span class="soft small num">${facts(row.counts)}</span></h4>
    <div class="seen-both">${pictures.length > 0 && html`<div class="seen-pictures">${pictures}</div>`}<p class="token-line">${runs.slice(0, MOST).map(box)}${runs.length > MOST && html`<span class="soft"> and ${count(runs.length - MOST)} more</span>`}</p></div></article>`;
}
