/**
 * One DOM element: element("li", {class: "job", onclick: open}, "text", child).
 *
 * Children are elements or text, never HTML, so nothing that a film or a model says can become markup. Properties
 * that are null or false are left out. The page's policy forbids style attributes: set those by element.style.
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return made;
}

/** The element of the page that has this id. */
export const byId = (id) => document.getElementById(id);
