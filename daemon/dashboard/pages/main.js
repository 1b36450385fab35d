// The entry point: sign in, then one view at a time, with a drawer beside it.

import { ApiError, get, post, signedOut } from "./api.js";
import { loginPage } from "./login.js";
import { panel } from "./panel.js";
import { pageOf, place, takeToken } from "./router.js";
import { shell } from "./shell.js";
import { store } from "./store.js";
import { turnLog } from "./turn_log.js";
import { deadLetters } from "./view_dead_letters.js";
import { events } from "./view_events.js";
import { health } from "./view_health.js";
import { instances } from "./view_instances.js";
import { live } from "./view_live.js";
import { playground } from "./view_playground.js";

const VIEWS = { live, instances, playground, dead: deadLetters, events, health };
const root = document.getElementById("root");
let visit = null; // aborted when the session ends
let view = null; // {key, ended}
let frame = null;

async function enter() {
  leave();
  const token = takeToken();
  try {
    if (token !== null) await post("/session", { token });
  } catch (error) {
    // A used link does no harm while a session is still valid.
    if (!(await get("/session").catch(() => null))) return refused(error, "used");
  }
  try {
    store.session = await get("/session");
  } catch (error) {
    return refused(error, "none");
  }
  visit = new AbortController();
  frame = shell(root, visit.signal);
  turnLog.start(visit.signal);
  store.start(store.session);
  show();
}

function refused(error, kind) {
  if (!(error instanceof ApiError)) throw error;
  loginPage(root, error.status === 0 ? "away" : kind, error.message, enter);
}

function leave() {
  store.stop();
  view?.ended.abort();
  visit?.abort();
  view = visit = null;
  panel.show(null);
}

function show() {
  const { view: kind, name, panel: opened } = place();
  const key = pageOf(kind, name);
  frame.mark();
  if (view?.key !== key) {
    view?.ended.abort();
    view = { key, ended: new AbortController() };
    frame.page.replaceChildren();
    frame.page.className = `page view-${kind}`;
    VIEWS[kind](frame.page, view.ended.signal, name);
    window.scrollTo(0, 0);
  }
  panel.show(opened);
}

signedOut.addEventListener("out", (event) => {
  if (!visit) return;
  leave();
  loginPage(root, "ended", event.detail.message, enter);
});

window.addEventListener("hashchange", () => {
  if (location.hash.startsWith("#login=")) enter();
  else if (visit) show();
});

enter();
