// Text into HTML, safely: every value put into a template is escaped unless it is itself such a template.

class Safe {
  constructor(text) {
    this.text = text;
  }
}

const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

function render(value) {
  if (value instanceof Safe) return value.text;
  if (Array.isArray(value)) return value.map(render).join("");
  if (value === null || value === undefined || value === false) return "";
  return String(value).replace(/[&<>"']/g, (sign) => ENTITIES[sign]);
}

export function html(strings, ...values) {
  return new Safe(strings.reduce((text, part, i) => text + part + (i < values.length ? render(values[i]) : ""), ""));
}

let pressed = null;
const waiting = new Map();

// A button that is replaced between press and release swallows the click: while one is held down, drawing waits.
// While a slider is dragged, only what it stands in waits: the count follows the hand.
window.addEventListener("pointerdown", (event) => (pressed = event.target), true);
for (const end of ["pointerup", "pointercancel"]) {
  window.addEventListener(end, () => {
    pressed = null;
    setTimeout(catchUp); // after the click
  }, true);
}
window.addEventListener("focusout", () => setTimeout(catchUp));

const catchUp = () => [...waiting].forEach(([element, text]) => isHeld(element) || put(element, text));

const TYPED = ["text", "number"];
const taken = new WeakMap(); // field -> the text with which it last said that it was changed
window.addEventListener("change", ({ target }) => taken.set(target, target.value), true);

// Whether somebody has typed into a field here and it has not said so yet. What an answer of the server draws then waits:
// the field would be replaced, and what was typed never be taken. What the person does is drawn at once, and so is what
// stands around a field whose text is kept as it is typed (`data-kept`).
function isTyped(element) {
  const field = document.activeElement;
  if (window.event || !TYPED.includes(field?.type) || "kept" in field.dataset || !element.contains(field)) return false;
  return field.value !== (taken.get(field) ?? field.defaultValue);
}

const isPressed = (element) => pressed && (pressed.type !== "range" || element.contains(pressed));
const isHeld = (element) => element.drawn !== undefined && (isPressed(element) || isTyped(element));

// Draws a template into an element, only when it changed, and gives the focus back to the element with the same data-key.
export function draw(element, template) {
  const text = render(template);
  if (isHeld(element)) {
    waiting.set(element, text);
    return false;
  }
  return put(element, text);
}

// The same at once, for what is no button and follows a slider that is being dragged.
export const drawNow = (element, template) => put(element, render(template));

function put(element, text) {
  waiting.delete(element);
  if (element.drawn === text) return false;
  const key = element.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  element.innerHTML = text;
  element.drawn = text;
  if (key) element.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
  return true;
}
