// Builds and updates the page. Laws of this file:
// - Data from the server or a person is inserted as text (textContent), never as markup.
// - Styles are set through the CSSOM; the content policy forbids style attributes.

const SVG = "http://www.w3.org/2000/svg";

/** h("p.note", {title: "…", onclick: f}, "text", node, null): an element; null and false children are skipped. */
export function h(name, props = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  return build(document.createElement(tag), classes, props, children);
}

/** The same for SVG. */
export function s(name, props = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  return build(document.createElementNS(SVG, tag), classes, props, children);
}

function build(node, classes, props, children) {
  if (classes.length) node.classList.add(...classes);
  for (const [key, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "style") for (const [name, one] of Object.entries(value)) node.style.setProperty(name, one);
    else if (key === "data") Object.assign(node.dataset, value);
    else node.setAttribute(key, value === true ? "" : String(value));
  }
  node.append(...shown(children));
  return node;
}

/** What a person wrote: each line with its own direction, isolated from the surrounding text. */
export function messageText(text) {
  return h(
    "p.message-text",
    { dir: "auto" },
    text.split("\n").map((line) => h("bdi", { dir: "auto" }, line)),
  );
}

/** A name within a sentence: an instance, a contact, a file. */
export function bdi(text) {
  return h("bdi", {}, String(text));
}

/** Set a text; does nothing when it is the same. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Replace all children. */
export function fill(node, ...children) {
  node.replaceChildren(...shown(children));
  return node;
}

function shown(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

/** Replace the children only when `signature` changed, so that focus and selection survive. */
export function fillWhen(node, signature, make) {
  const known = JSON.stringify(signature);
  if (node.dataset.signature === known) return false;
  node.dataset.signature = known;
  fill(node, make());
  return true;
}

/**
 * One child for each item, in order, keeping the nodes of items that stay.
 * `make(item)` gives {node, update(item), leave?()}; `parts` is a Map that the caller keeps between calls.
 */
export function keyed(parent, parts, items, keyOf, make) {
  const wanted = new Set(items.map(keyOf));
  for (const [key, part] of parts) {
    if (wanted.has(key)) continue;
    part.leave?.();
    part.node.remove();
    parts.delete(key);
  }
  let at = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let part = parts.get(key);
    if (!part) parts.set(key, (part = make(item)));
    part.update(item);
    if (part.node === at) at = at.nextElementSibling;
    else if (part.node.isConnected && parent.moveBefore)
      parent.moveBefore(part.node, at); // keeps focus and animations
    else parent.insertBefore(part.node, at);
  }
}
