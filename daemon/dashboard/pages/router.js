// The address says what is shown: #/live, #/live/conversation/c9b5539c37, #/playground/explain/<message>/<instance>.
// The part after the view is what the drawer shows.

export const VIEWS = ["live", "playground", "dead", "events", "health"];
const LOGIN = "#login=";

/** {view, panel: null | {kind, id, instance}} */
export function place() {
  const [view, kind, id, instance] = location.hash.replace(/^#\/?/, "").split("/").map(decoded);
  const known = VIEWS.includes(view) ? view : "live";
  return { view: known, panel: kind && id ? { kind, id, instance } : null };
}

/** The address that opens something in the drawer beside the present view. */
export function beside(kind, id, instance = "") {
  const parts = [place().view, kind, String(id), instance].filter(Boolean).map(encodeURIComponent);
  return `#/${parts.join("/")}`;
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
