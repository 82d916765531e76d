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

// Draws a template into an element, only when it changed, and gives the focus back to the element with the same data-key.
export function draw(element, template) {
  const text = render(template);
  if (element.drawn === text) return false;
  const key = element.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  element.innerHTML = text;
  element.drawn = text;
  if (key) element.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
  return true;
}
