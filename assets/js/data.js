// The data sets as cards: a few pictures with question and answer, and what guessing would score. A set of one's own can
// be taken away.

import { state, subscribe, update } from "./store.js";
import { draw, html } from "./html.js";
import { pictureUrl, remove } from "./api.js";
import { bytes, count, percent, when } from "./format.js";
import { activePreset, select } from "./choice.js";
import { STORED, readSets, setOf } from "./sets.js";

function card(set) {
  return html`<div class="set"><label><span class="title"><input type="radio" name="dataset" data-key="set-${set.key}" value="${set.key}" ${set.key === state.dataset ? html`checked` : ""}>${set.title}</span>
    <span class="story">${isOwn(set) ? `Your own, of ${set.origin}` : set.story}</span>
    <span class="pictures">${set.samples.slice(0, 4).map((sample) => picture(set, sample))}</span>
    <span class="facts">${set.question && html`<span>asked: <q>${set.question}</q></span>`}<span class="num">${count(set.train)} to learn from · ${count(set.heldout)} held out</span>
      ${!isOwn(set) && presetTitle(set.preset) && html`<span>works well with: ${presetTitle(set.preset)}</span>`}
      <span class="num" title="The share of the most common answer among the held-out rows.">guessing scores ${percent(set.majority)}</span></span></label>${isOwn(set) && own(set)}</div>`;
}

const isOwn = (set) => set.key.startsWith(STORED);

const picture = (set, sample) => html`<span class="figure"><img src="${pictureUrl(set.pictures, sample.picture)}" alt="${sample.question} ${sample.answer}" loading="lazy"><small>${sample.answer}</small></span>`;

// What only a set of one's own has: its size and age, and a way to be rid of it, with a question first.
function own(set) {
  if (state.removing === set.key) {
    return html`<div class="own" role="group" aria-label="Delete ${set.title}?"><span>Delete it? Jobs that were trained on it keep their data.</span><span class="two"><button data-remove="${set.key}" data-key="remove-${set.key}">Delete</button><button class="quiet" data-keep data-key="keep-${set.key}">Keep</button></span></div>`;
  }
  return html`<div class="own"><span class="num">${bytes(set.size)} · ${when(set.created)}</span><button class="quiet" data-removing="${set.key}" data-key="keep-${set.key}" aria-label="Delete ${set.title}">Delete…</button></div>`;
}

async function removeSet(key) {
  try {
    await remove(`sets/${key.slice(STORED.length)}`);
    await readSets();
    update({ removing: null, bringError: null, dataset: setOf(state.dataset) ? state.dataset : state.home.datasets[0]?.key });
  } catch (error) {
    update({ removing: null, bringError: error.message });
  }
}

function onClick({ target }) {
  const { remove: gone, removing, keep } = target.closest("button")?.dataset ?? {};
  if (gone) removeSet(gone);
  else if (removing) update({ removing });
  else if (keep !== undefined) update({ removing: null });
}

export function mountData(element) {
  element.addEventListener("change", (event) => {
    if (event.target.name === "dataset") chooseDataset(event.target.value);
  });
  element.addEventListener("click", onClick);
  subscribe(() => {
    if (!state.home) return draw(element, html`<div class="card waiting">Looking at the data…</div>`);
    const { datasets } = state.home;
    const shown = [...datasets.filter(isOwn), ...datasets.filter((set) => !isOwn(set))];
    return draw(element, html`<fieldset class="which"><legend>${datasets.some(isOwn) ? "Train on one of your sets, or on a demo set" : "Or try one of the demo sets"}</legend><div class="sets">${shown.map(card)}</div></fieldset>`);
  }, "home", "dataset", "model", "removing");
}

// Until the person has chosen what learns, the preset that suits the data is taken; a choice of theirs is left alone.
export function chooseDataset(key) {
  update({ dataset: key });
  const untouched = !state.preset && !state.task && !state.priority && activePreset();
  const suggested = state.model?.presets.find((preset) => preset.name === setOf(key)?.preset);
  if (untouched && suggested?.cells.length) select({ cells: [...suggested.cells] });
}

const presetTitle = (name) => state.model?.presets.find((preset) => preset.name === name)?.title;
