// A slider over the points of a run: the newest, or an earlier one, which then stays while newer ones come.

import { drawNow, html } from "./html.js";
import { state } from "./store.js";
import { count } from "./format.js";

// `of`: the points of a run; `draws`: draws them into an element as they were at the chosen point.
export function when(key, of, draws) {
  const view = { job: null, at: null }; // null: the newest
  const last = (run) => of(run).length - 1;

  const point = (run) => {
    if (view.job !== run.id) Object.assign(view, { job: run.id, at: null });
    return of(run)[Math.min(view.at ?? Infinity, last(run))];
  };

  const slider = (run) => {
    const { step } = point(run);
    const at = Math.min(view.at ?? Infinity, last(run));
    return last(run) > 0 && html`<label class="when">at step <input type="range" min="0" max="${last(run)}" step="1" value="${at}" data-when="${key}" data-key="${key}-when" aria-valuetext="step ${count(step)}"><output class="num">${count(step)}</output></label>`;
  };

  const listen = (element) => element.addEventListener("input", ({ target }) => {
    if (target.dataset.when !== key) return;
    view.at = Number(target.value) === last(state.run) ? null : Number(target.value);
    const { step } = point(state.run);
    target.setAttribute("aria-valuetext", `step ${count(step)}`);
    target.nextElementSibling.textContent = count(step);
    drawNow(element.querySelector(".body"), draws(state.run, point(state.run)));
  });

  return { point, slider, listen };
}
