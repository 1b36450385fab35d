// The address says what is shown: #/live, #/live/conversation/c9b5539c37, #/playground/explain/<message>/<instance>,
// #/instances/<instance>. What follows is what the drawer shows.

export const VIEWS = ["live", "instances", "playground", "dead", "events", "health"];
const OF_ONE = "instances"; // the view that has a page for each of something
const LOGIN = "#login=";

/** {view, name: of the page within the view, or "", panel: null | {kind, id, instance}} */
export function place() {
  const [first, ...rest] = location.hash.replace(/^#\/?/, "").split("/").map(decoded);
  const view = VIEWS.includes(first) ? first : "live";
  const name = view === OF_ONE ? (rest.shift() ?? "") : "";
  const [kind, id, instance] = rest;
  return { view, name, panel: kind && id ? { kind, id, instance } : null };
}

/** The address of a page. */
export function pageOf(view, name = "") {
  return `#/${[view, name].filter(Boolean).map(encodeURIComponent).join("/")}`;
}

/** The address of the present page, without a drawer. */
export function here() {
  const { view, name } = place();
  return pageOf(view, name);
}

/** The address that opens something in the drawer beside the present page. */
export function beside(kind, id, instance = "") {
  return [here(), ...[kind, String(id), instance].filter(Boolean).map(encodeURIComponent)].join("/");
}

/** Take the one-time token out of the address, so that it stays out of the browser's history. */
export function takeToken() {
  if (!location.hash.startsWith(LOGIN)) return null;
  const token = location.hash.slice(LOGIN.length);
  history.replaceState(null, "", location.pathname);
  return decoded(token);
}

/** The token of a pasted link, or a pasted token. */
export function tokenOf(pasted) {
  const text = pasted.trim();
  const at = text.indexOf(LOGIN);
  return at < 0 ? text : decoded(text.slice(at + LOGIN.length));
}

export function go(hash) {
  if (location.hash !== hash) location.hash = hash;
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
