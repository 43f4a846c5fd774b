// Elements from texts. Nothing here, or elsewhere, makes markup of a text: listings are hostile input.

export const byId = (id) => document.getElementById(id);

/** An element with a class, a text, other attributes, and children. Absent children are left out. */
export function el(name, { text, on, width, ...attributes } = {}, ...children) {
  const element = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null) element.setAttribute(attribute, value);
  }
  if (text !== undefined) element.textContent = text;
  if (width !== undefined) element.style.width = `${Math.max(0, Math.min(100, width))}%`;
  if (on) element.addEventListener("click", on);
  element.append(...children.filter((child) => child !== undefined && child !== null));
  return element;
}

/** A tile with a number and what it counts. */
export function tile(label, value, kind = "") {
  return el("div", { class: `tile ${kind}` }, el("strong", { text: value }), el("span", { text: label }));
}

/** A badge whose colour says what its text says. */
export const badge = (text, kind) => el("span", { class: `badge ${kind}`, text });

/** A milliseconds value that fits a table. */
export const millis = (value) => (value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : value.toFixed(0));
