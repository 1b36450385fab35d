// What surrounds every view: navigation, the state of the connection, banners, footer.

import { remove } from "./api.js";
import { bdi, fill, fillWhen, h, isolated, setText } from "./dom.js";
import { showToast } from "./feedback.js";
import { icon } from "./icons.js";
import * as format from "./format.js";
import { countdown } from "./ring.js";
import { place } from "./router.js";
import { store } from "./store.js";
import { theme } from "./theme.js";
import { ALERTS, LEVELS, alertValue } from "./words.js";

const NAV = [
  ["live", "Live"],
  ["instances", "Instances"],
  ["playground", "Playground", "chat"],
  ["dead", "Dead letters"],
  ["events", "Events"],
  ["health", "Health"],
];
const THEMES = { auto: ["auto", "system"], light: ["sun", "light"], dark: ["moon", "dark"] };

/** Build it in `root`; returns the element for the views. */
export function shell(root, signal) {
  const links = Object.fromEntries(
    NAV.filter(([view]) => view !== "playground" || store.session.playground).map(([view, words, sign]) => {
      const badge = h("span.badge", { hidden: true });
      const parts = [icon(sign ?? view), h("span.nav-text", {}, words), badge];
      return [view, { node: h("a.nav-link", { href: `#/${view}` }, parts), badge }];
    }),
  );
  const page = h("main.page", { id: "page", tabindex: "-1" });
  const pill = h("button.pill", { type: "button", onclick: () => store.look() });
  const banners = h("div.banners", { role: "region", "aria-label": "Alerts" });
  fill(
    root,
    h("a.skip", { href: "#page", onclick: (event) => (event.preventDefault(), page.focus()) }, "Skip to content"),
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
        "nav.nav",
        { "aria-label": "Views" },
        Object.values(links).map((link) => link.node),
      ),
      h("div.head-end", {}, h("div", { "aria-live": "polite" }, pill), themeButton(), leaveButton()),
    ),
    banners,
    page,
    h("footer.footer", {}, footer()),
  );
  const sized = new ResizeObserver(() => root.style.setProperty("--banners", `${banners.offsetHeight}px`));
  sized.observe(banners);
  signal.addEventListener("abort", () => sized.disconnect());
  let stopCountdown = () => {};
  const connection = () => {
    stopCountdown();
    stopCountdown = showConnection(pill, root);
  };
  store.on("connection", connection, signal);
  store.on("top", () => showBanners(banners), signal);
  store.on("connection", () => showBanners(banners), signal);
  store.on("status", () => badge(links.dead?.badge, store.status.dead_letters_open, "open"), signal);
  store.on("top", () => badge(links.health?.badge, store.top.alerts.length, "alerts"), signal);
  signal.addEventListener("abort", () => stopCountdown());
  connection();
  return { page, mark: () => (markCurrent(links), showBanners(banners)) };
}

function markCurrent(links) {
  const { view, name: page } = place();
  for (const [name, link] of Object.entries(links)) {
    if (name === view) link.node.setAttribute("aria-current", "page");
    else link.node.removeAttribute("aria-current");
  }
  const words = NAV.find(([name]) => name === view)[1];
  document.title = [page && isolated(page), words, "Majlis"].filter(Boolean).join(" · ");
}

function badge(node, amount, what) {
  node.hidden = !amount;
  setText(node, format.atMost999(amount ?? 0));
  node.setAttribute("aria-label", `${format.number(amount ?? 0)} ${what}`);
}

function showConnection(pill, root) {
  const { kind, retryAt } = store.connection;
  pill.className = `pill ${kind}`;
  pill.disabled = kind === "live" || kind === "connecting";
  root.classList.toggle("stale", kind === "lost");
  if (pill.disabled) {
    fill(pill, h("span.dot"), kind === "live" ? "Live" : "Connecting");
    return () => {};
  }
  const words = h("span");
  fill(pill, icon("retry"), words);
  const what = kind === "starting" ? "Not ready" : "Disconnected";
  return countdown(
    () => retryAt,
    (seconds) => setText(words, `${what}, retrying in ${format.number(Math.ceil(seconds))} s`),
  );
}

function showBanners(root) {
  const { kind, message } = store.connection;
  const top = store.top;
  const lines = [];
  if (kind === "lost") lines.push(["error", message, asOf()]);
  if (kind === "starting") lines.push(["warn", message, ""]);
  const known = place().view === "health"; // that view shows the rest itself
  if (kind === "live" && top && !known) {
    for (const words of top.reasons) lines.push(["error", words, ""]);
    if (top.draining) {
      const why = store.status?.stopping ? ` (${store.status.stopping})` : "";
      lines.push(["warn", `The daemon is draining${why}: it accepts no new work and finishes running turns.`, ""]);
    }
    for (const alert of top.alerts) {
      const [title, advice] = ALERTS[alert.flag] ?? [alert.meaning, ""];
      const about = [alertValue(alert, format), alert.detail].filter(Boolean).join(", ");
      lines.push(["alert", `${title}: ${about}`, advice]);
    }
    for (const pause of top.pauses) lines.push(["pause", ...pauseWords(pause)]);
  }
  fillWhen(root, lines, () => lines.map(([kind_, words, more]) => banner(kind_, words, more)));
}

/** What is paused until when, and what that means. */
export function pauseWords(pause) {
  const until = pause.until ? `until ${format.moment(pause.until)}` : "until it is resumed";
  const subject = pause.instance ? `Instance ${pause.instance} is` : "All instances are";
  if (pause.held) return [`${subject} held: ${pause.held}.`, "Messages are acknowledged and stored, and answered afterwards."];
  return [`${subject} paused ${until}.`, "Messages are acknowledged and stored, and answered afterwards."];
}

function banner(kind, words, more) {
  const sign = { alert: "flag", pause: "pause" }[kind] ?? "warn";
  const link = kind === "alert" || kind === "pause" ? h("a", { href: "#/health" }, "Details") : null;
  return h(
    `p.banner.${kind}`,
    {},
    icon(sign),
    h("span", {}, h("strong", {}, words), more ? h("span.banner-more", {}, ` ${more}`) : null),
    link,
  );
}

function asOf() {
  const latest = store.history.at(-1);
  return latest ? `Data as of ${format.moment(new Date(latest.wall).toISOString())}.` : "";
}

function themeButton() {
  const button = h("button.button.quiet.round", {
    type: "button",
    onclick: () => ((theme.choice = theme.next()), show(), showToast(`Colour scheme: ${THEMES[theme.choice][1]}.`)),
  });
  const show = () => {
    const [sign, words] = THEMES[theme.choice];
    fill(button, icon(sign));
    button.setAttribute("aria-label", `Colour scheme: ${words}. Change`);
    button.title = `Colour scheme: ${words}`;
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
