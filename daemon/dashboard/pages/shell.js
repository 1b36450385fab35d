// What stands around every view: the name, the ways, how the connection is, and what is wrong now.

import { remove } from "./api.js";
import { bdi, fill, fillWhen, h, setText } from "./dom.js";
import { icon } from "./icons.js";
import * as format from "./format.js";
import { countdown } from "./ring.js";
import { place } from "./router.js";
import { store } from "./store.js";
import { theme } from "./theme.js";
import { FLAGS, LEVELS, flagValue } from "./words.js";

const WAYS = [
  ["live", "Live"],
  ["playground", "Playground", "chat"],
  ["dead", "Dead letters"],
  ["events", "Events"],
  ["health", "Health"],
];
const THEMES = { auto: ["auto", "as the device has it"], light: ["sun", "light"], dark: ["moon", "dark"] };

/** Build it in `root`; gives back the element that views stand in. */
export function shell(root, signal) {
  const links = Object.fromEntries(
    WAYS.filter(([view]) => view !== "playground" || store.session.playground).map(([view, words, sign]) => {
      const badge = h("span.badge", { hidden: true });
      const parts = [icon(sign ?? view), h("span.way-words", {}, words), badge];
      return [view, { node: h("a.way", { href: `#/${view}` }, parts), badge }];
    }),
  );
  const page = h("main.page", { id: "page", tabindex: "-1" });
  const pill = h("button.pill", { type: "button", onclick: () => store.look() });
  const alerts = h("div.alerts", { role: "region", "aria-label": "What is wrong now" });
  fill(
    root,
    h("a.skip", { href: "#page", onclick: (event) => (event.preventDefault(), page.focus()) }, "Skip to the content"),
    h(
      "header.head",
      {},
      h(
        "a.brand",
        { href: "#/live" },
        h("img", { src: "/static/favicon.svg", alt: "", width: 28, height: 28 }),
        "Majlis",
      ),
      h(
        "nav.ways",
        { "aria-label": "Views" },
        Object.values(links).map((link) => link.node),
      ),
      h("div.head-end", {}, h("div", { "aria-live": "polite" }, pill), themeButton(), leaveButton()),
    ),
    alerts,
    page,
    h("footer.foot", {}, footer()),
  );
  const sized = new ResizeObserver(() => root.style.setProperty("--alerts", `${alerts.offsetHeight}px`));
  sized.observe(alerts);
  signal.addEventListener("abort", () => sized.disconnect());
  let stopCountdown = () => {};
  const connection = () => {
    stopCountdown();
    stopCountdown = showConnection(pill, root);
  };
  store.on("connection", connection, signal);
  store.on("top", () => showAlerts(alerts), signal);
  store.on("connection", () => showAlerts(alerts), signal);
  store.on("status", () => badge(links.dead?.badge, store.status.dead_letters_open, "open"), signal);
  store.on("top", () => badge(links.health?.badge, store.top.alerts.length, "alerts"), signal);
  signal.addEventListener("abort", () => stopCountdown());
  connection();
  return { page, mark: () => (mark(links), showAlerts(alerts)) };
}

function mark(links) {
  const { view } = place();
  for (const [name, link] of Object.entries(links)) {
    if (name === view) link.node.setAttribute("aria-current", "page");
    else link.node.removeAttribute("aria-current");
  }
  const words = WAYS.find(([name]) => name === view)[1];
  document.title = `${words} · Majlis`;
}

function badge(node, amount, what) {
  node.hidden = !amount;
  setText(node, amount > 999 ? "999+" : String(amount));
  node.setAttribute("aria-label", `${amount} ${what}`);
}

function showConnection(pill, root) {
  const { kind, retryAt } = store.connection;
  pill.className = `pill ${kind}`;
  pill.disabled = kind === "live" || kind === "connecting";
  root.classList.toggle("old", kind === "lost");
  if (pill.disabled) {
    fill(pill, h("span.dot"), kind === "live" ? "Live" : "Connecting");
    return () => {};
  }
  const words = h("span");
  fill(pill, h("span.dot"), words);
  pill.title = "Try again now";
  const what = kind === "starting" ? "Not ready" : "Lost";
  return countdown(
    () => retryAt,
    (seconds) => setText(words, `${what}, again in ${Math.ceil(seconds)} s`),
  );
}

function showAlerts(root) {
  const { kind, message } = store.connection;
  const top = store.top;
  const told = [];
  if (kind === "lost") told.push(["ill", message, asOf()]);
  if (kind === "starting") told.push(["warn", message, ""]);
  const known = place().view === "health"; // that view tells the rest itself
  if (kind === "live" && top && !known) {
    for (const words of top.reasons) told.push(["ill", words, ""]);
    if (top.draining) told.push(["warn", "The daemon is stopping: no new work, running turns are finished.", ""]);
    for (const flag of top.alerts) {
      const [name, advice] = FLAGS[flag.flag] ?? [flag.meaning, ""];
      const about = [flagValue(flag, format), flag.detail].filter(Boolean).join(", ");
      told.push(["flag", `${name}: ${about}`, advice]);
    }
    for (const pause of top.pauses) told.push(["pause", ...pauseWords(pause)]);
  }
  fillWhen(root, told, () => told.map(([kind_, words, more]) => alert(kind_, words, more)));
}

/** What is paused until when, and what that means. */
export function pauseWords(pause) {
  const whom = pause.instance ? `Instance ${pause.instance}` : "Every instance";
  const until = pause.until ? `until ${format.moment(pause.until)}` : "until somebody resumes it";
  return [`${whom} is paused ${until}.`, "Messages are acknowledged and wait."];
}

function alert(kind, words, more) {
  const sign = { flag: "flag", pause: "pause" }[kind] ?? "warn";
  const link = kind === "flag" || kind === "pause" ? h("a", { href: "#/health" }, "Look") : null;
  return h(
    `p.alert.${kind}`,
    {},
    icon(sign),
    h("span", {}, h("strong", {}, bdi(words)), more ? h("span.alert-more", {}, ` ${more}`) : null),
    link,
  );
}

function asOf() {
  const latest = store.history.at(-1);
  return latest ? `What you see is as of ${format.moment(new Date(latest.wall).toISOString())}.` : "";
}

function themeButton() {
  const button = h("button.button.quiet.round", {
    type: "button",
    onclick: () => ((theme.choice = theme.next()), show()),
  });
  const show = () => {
    const [sign, words] = THEMES[theme.choice];
    fill(button, icon(sign));
    button.setAttribute("aria-label", `Colours: ${words}. Change`);
    button.title = `Colours: ${words}`;
  };
  show();
  return button;
}

function leaveButton() {
  const leave = async () => {
    await remove("/session").catch(() => {});
    location.reload();
  };
  return h(
    "button.button.quiet.round",
    { type: "button", "aria-label": "Sign out", title: "Sign out", onclick: leave },
    icon("leave"),
  );
}

function footer() {
  const { node, version, level } = store.session;
  return [h("span", {}, `Majlis ${version}, node `, bdi(node)), h("span", {}, LEVELS[level])];
}
