// Builds and updates the page. Laws of this file:
// - Data from the server or a person is inserted as text (textContent), never as markup.
// - Styles are set through the CSSOM; the content policy forbids style attributes.
// - What others wrote never reorders our own words: `bdi()` isolates a name or a text as a whole, and in every other
//   string each run of right-to-left letters is isolated here: a sentence of the daemon that quotes a name is safe too.

const SVG = "http://www.w3.org/2000/svg";
const RTL = "[\\u0590-\\u08ff\\ufb1d-\\ufdff\\ufe70-\\ufefc\\u{10800}-\\u{10fff}\\u{1e800}-\\u{1efff}]";
const HAS_RTL = new RegExp(RTL, "u");
const RTL_RUNS = new RegExp(`(${RTL}+(?:[\\s_'’–-]{1,2}${RTL}+)*)`, "u");
const SPOKEN = new Set(["aria-label", "title", "placeholder", "alt"]); // attributes that people read

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
  if (node.localName === "option") node.dir = "auto"; // it holds text alone
  for (const [key, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "style") for (const [name, one] of Object.entries(value)) node.style.setProperty(name, one);
    else if (key === "data") Object.assign(node.dataset, value);
    else node.setAttribute(key, value === true ? "" : SPOKEN.has(key) ? isolated(value) : String(value));
  }
  node.append(...shown(node, children));
  return node;
}

/** A text for an attribute or the window's title, where no element can stand: its right-to-left runs are isolated. */
export function isolated(text) {
  return runsOf(text, (run) => `\u2068${run}\u2069`).join("");
}

/** The parts of a text; `make` makes those of right-to-left letters. */
function runsOf(text, make) {
  const parts = String(text).split(RTL_RUNS); // at odd places what the pattern found
  return parts.map((part, place) => (place % 2 ? make(part) : part)).filter((part) => part !== "");
}

/** Whether what stands in the node is isolated from what stands around it. */
const isolates = (node) => node.localName === "bdi" || node.dir === "auto";

/** What a person wrote: each line with its own direction, isolated from the surrounding text. */
export function messageText(text) {
  return h(
    "p.message-text",
    { dir: "auto" },
    text.split("\n").map((line) => h("bdi", { dir: "auto" }, line)),
  );
}

/** Something foreign within a sentence: the name of an instance, a contact, a model, a value. */
export function bdi(text) {
  return h("bdi", { dir: "auto" }, String(text));
}

/** One of the options of a list; its words may be foreign. */
export function option(value, words, selected = false) {
  return h("option", { value, selected }, words);
}

/** Set a text; does nothing when it is the same. */
export function setText(node, text) {
  if (node.textContent !== text) fill(node, text);
}

/** Replace all children. */
export function fill(node, ...children) {
  node.replaceChildren(...shown(node, children));
  return node;
}

function shown(node, children) {
  const present = children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
  if (isolates(node)) return present;
  return present.flatMap((child) => (typeof child === "string" && HAS_RTL.test(child) ? runsOf(child, bdi) : child));
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
