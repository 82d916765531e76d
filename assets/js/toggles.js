// The toggle of a cell: one role of one component, pressed as far as its modules learn.

import { html } from "./html.js";
import { cellExtent } from "./choice.js";
import { COMPONENT_NAME, ROLE_HELP, ROLE_NAME } from "./words.js";
import { count } from "./format.js";

const PRESSED = { none: "false", some: "mixed", all: "true" };
export const RARE = ["embedding", "head", "norm"]; // of these roles the toggles stand under Advanced

export function toggle(part, role) {
  const modules = part.byRole.get(role);
  const label = part.roles.length === 1 && role === "mlp" && part.component === "projector" ? "Linear" : ROLE_NAME[role];
  return html`<button data-cell="${part.component}.${role}" data-key="${part.component}.${role}" title="${ROLE_HELP[role]} ${count(modules.length)} modules."
    aria-label="${COMPONENT_NAME[part.component]}: ${label}" aria-pressed="${PRESSED[cellExtent(`${part.component}.${role}`)]}">${label}</button>`;
}
