// The data sets as cards: a few pictures with question and answer, and what guessing would score.

import { state, subscribe, update } from "./store.js";
import { draw, html } from "./html.js";
import { pictureUrl } from "./api.js";
import { count, percent } from "./format.js";
import { activePreset, select } from "./choice.js";

export const datasetTitle = (name) => state.home?.datasets.find((set) => set.name === name)?.title;

function card(set) {
  return html`<label class="set"><span class="title"><input type="radio" name="dataset" data-key="set-${set.name}" value="${set.name}" ${set.name === state.dataset ? html`checked` : ""}>${set.title}</span>
    <p class="story">${set.story}</p>
    <div class="pictures">${set.samples.slice(0, 4).map((sample) => html`<figure><img src="${pictureUrl(`data/${set.name}`, sample.picture)}" alt="${sample.question} ${sample.answer}" loading="lazy"><figcaption>${sample.answer}</figcaption></figure>`)}</div>
    <p class="facts"><span>asked: <q>${set.samples[0]?.question}</q></span><span class="num">${count(set.train)} to learn from · ${count(set.heldout)} held out</span>
      ${presetTitle(set.preset) && html`<span>works well with: ${presetTitle(set.preset)}</span>`}
      <span class="num" title="The share of the most common answer among the held-out rows.">guessing scores ${percent(set.majority)}</span></p></label>`;
}

export function mountData(element) {
  element.addEventListener("change", (event) => {
    if (event.target.name === "dataset") chooseDataset(event.target.value);
  });
  subscribe(() => {
    if (!state.home) return draw(element, html`<div class="card waiting">Looking at the data…</div>`);
    return draw(element, html`<fieldset style="border:0;padding:0;margin:0"><legend class="visually-hidden">Data set</legend><div class="sets">${state.home.datasets.map(card)}</div></fieldset>`);
  }, "home", "dataset", "model");
}

// Until the person has chosen what learns, the preset that suits the data is taken; a choice of theirs is left alone.
export function chooseDataset(name) {
  update({ dataset: name });
  const untouched = !state.preset && !state.task && !state.priority && activePreset();
  const suggested = state.model?.presets.find((preset) => preset.name === suggestion(name));
  if (untouched && suggested?.cells.length) select({ cells: [...suggested.cells] });
}

const suggestion = (name) => state.home.datasets.find((set) => set.name === name)?.preset;
const presetTitle = (name) => state.model?.presets.find((preset) => preset.name === name)?.title;
