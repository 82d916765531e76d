// What the server says of the choice: what cannot be together, and what is worth another thought.

import { state } from "./store.js";
import { html } from "./html.js";

// The refusals that belong beside these controls; a choice that cannot be is said where it was made.
export function refusalsAt(...controls) {
  const found = (state.advice?.refused ?? []).filter((each) => controls.includes(each.control));
  return found.map(({ sentence }) => html`<div class="note bad" role="alert" style="margin-top:12px">${sentence}</div>`);
}

export const refused = () => state.advice?.refused?.[0]?.sentence ?? null;
