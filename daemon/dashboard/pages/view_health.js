// Health: whether it is ready, what is wrong, the stores, the providers, how long things take, and what was counted.

import { bdi, fill, fillWhen, h } from "./dom.js";
import { icon } from "./icons.js";
import { verdict } from "./verdict.js";
import * as format from "./format.js";
import { doctor, pauses } from "./steer.js";
import { store } from "./store.js";
import { FLAGS, LATENCIES, PROVIDER_STATES, flagValue, reason, rule } from "./words.js";

const { count, duration, ms, number } = format;

export function health(root, signal) {
  const parts = {
    readiness: h("div"),
    flags: h("div"),
    watched: h("ul.watched"),
    providers: h("div.scroll"),
    latencies: h("div.scroll"),
    doors: h("div"),
    counts: h("div.tiles"),
    pauses: h("div"),
  };
  const section = (id, title, part, ...more) =>
    h(
      `section.panelled.${id}`,
      { "aria-labelledby": `health-${id}` },
      h("div.section-head", {}, h("h2", { id: `health-${id}` }, title), ...more),
      part,
    );
  fill(
    root,
    h("h1.unseen", {}, "Health"),
    h(
      "div.board",
      {},
      section("readiness", "The daemon", parts.readiness),
      section("flags", "Alerts", [
        parts.flags,
        h("details", {}, h("summary", {}, "All that are watched"), parts.watched),
      ]),
      section("providers", "Providers", parts.providers),
      section("latencies", "How long things take", parts.latencies, h("span.quiet", {}, "of the latest 500 of each")),
      section("counts", "Counted", parts.counts),
      section("pauses", "Pauses", parts.pauses),
      section("doctor", "Doctor", doctor()),
    ),
  );
  const show = () => store.top && store.status && draw(parts);
  store.on("top", show, signal);
  store.on("status", show, signal);
  show();
}

function draw(parts) {
  const { top, status } = store;
  const stores = Object.entries(status.stores);
  fillWhen(
    parts.readiness,
    [
      status.ready,
      status.draining,
      status.reasons,
      stores,
      Math.floor(top.uptime_seconds / 10),
      status.feeds,
      status.realtime,
      status.partitions_owned,
    ],
    () => readiness(status, top),
  );
  fillWhen(
    parts.flags,
    top.alerts.map((flag) => [flag.flag, flag.value, Math.floor(flag.seconds)]),
    () => flags(top.alerts),
  );
  fillWhen(
    parts.watched,
    top.alerts.map((flag) => flag.flag),
    () => watched(top.alerts),
  );
  fillWhen(parts.providers, top.providers, () => providers(top.providers));
  fillWhen(parts.latencies, top.latencies, () => latencies(top.latencies));
  fillWhen(parts.counts, [status], () => counts(status));
  fillWhen(parts.pauses, [top.pauses], () => pauses(top.pauses));
}

function readiness(status, top) {
  const ready = status.draining
    ? "It is stopping"
    : status.ready
      ? "Ready: webhooks are accepted"
      : "Not ready: webhooks get 503 and come again";
  return [
    verdict(
      status.ready && !status.draining,
      `${ready}.`,
      `Up ${duration(top.uptime_seconds)}, listens at ${status.listen}.`,
    ),
    status.reasons.map((words) => verdict(false, words)),
    Object.entries(status.stores).map(([name, state]) =>
      verdict(
        state === "ok",
        name[0].toUpperCase() + name.slice(1),
        state === "ok" ? "answers, and is as strong as configured." : state,
      ),
    ),
    verdict(
      status.partitions_owned > 0,
      `${number(status.partitions_owned)} of ${number(status.partitions_total)} partitions`,
      "are this daemon's.",
    ),
    status.feeds.map((feed) =>
      verdict(
        feed.connected,
        `Feed of ${feed.instance}`,
        `${feed.connected ? "connected" : "not connected"}. ${feed.note}`,
      ),
    ),
    status.realtime
      ? verdict(
          true,
          "Realtime door",
          `at ${status.realtime.listen}: ${count(
            Object.values(status.realtime.connected).reduce((all, one) => all + one, 0),
            "connection",
          )}.`,
        )
      : null,
  ];
}

function flags(up) {
  return [
    up.map((flag) => {
      const [name, advice] = FLAGS[flag.flag] ?? [flag.meaning, ""];
      return h(
        "div.flag-up",
        {},
        icon("flag"),
        h(
          "div",
          {},
          h("p", {}, h("strong", {}, name), h("span.since", {}, ` for ${duration(flag.seconds)}`)),
          h("p", {}, `${flag.meaning}: ${flagValue(flag, format)}${flag.detail ? `, ${flag.detail}` : ""}.`),
          h("p.quiet", {}, advice),
        ),
      );
    }),
    up.length ? null : verdict(true, "No alert is up."),
  ];
}

function watched(up) {
  const raised = new Set(up.map((flag) => flag.flag));
  return Object.entries(FLAGS).map(([name, [words]]) =>
    h("li", {}, raised.has(name) ? icon("flag") : icon("check"), words),
  );
}

function providers(all) {
  if (!all.length) return [h("p.empty-line", {}, "No provider answers: see responder.providers in config.yaml.")];
  return [
    table(
      ["Provider", "State", "Calls", "Answered", "Last failure"],
      all.map((one) => [
        [bdi(one.name), one.instance ? h("span.quiet", {}, " of ", bdi(one.instance)) : ""],
        h(
          `span.breaker.${one.state}`,
          {},
          `${PROVIDER_STATES[one.state]}${one.wait_seconds ? `, ${duration(Math.ceil(one.wait_seconds))}` : ""}`,
        ),
        number(one.calls),
        one.calls ? format.percent(one.succeeded / one.calls) : "–",
        one.last_reason ? reason(one.last_reason) : "none",
      ]),
    ),
  ];
}

function latencies(all) {
  if (!all.length) return [h("p.empty-line", {}, "Nothing was measured yet.")];
  return [
    table(
      ["What", "Half within", "95 % within", "Longest"],
      all.map((one) => [LATENCIES[one.what] ?? one.what, ms(one.p50_ms), ms(one.p95_ms), ms(one.max_ms)]),
    ),
  ];
}

function table(heads, rows) {
  return h(
    "table",
    {},
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        heads.map((head) => h("th", { scope: "col" }, head)),
      ),
    ),
    h(
      "tbody",
      {},
      rows.map((row) =>
        h(
          "tr",
          {},
          row.map((cell, index) => (index ? h("td", {}, cell) : h("th", { scope: "row" }, cell))),
        ),
      ),
    ),
  );
}

function counts(status) {
  const ingress = status.ingress;
  const sum = (counts_) => Object.values(counts_).reduce((all, one) => all + one, 0);
  const rules = Object.entries(status.suppressed_by_rule).map(([name, amount]) => `${rule(name)}: ${number(amount)}`);
  const refused = Object.entries(ingress.refused).map(([name, amount]) => `${reason(name)}: ${number(amount)}`);
  return [
    tile("Acknowledged", status.acknowledged),
    tile("Answered", status.answered),
    tile("No answer, by rule", status.suppressed, rules),
    tile("Given up", status.dead),
    tile(
      "Waiting",
      status.waiting_messages,
      status.oldest_waiting_seconds ? [`the oldest for ${duration(status.oldest_waiting_seconds)}`] : [],
    ),
    tile("With a person", status.taken_over + status.escalated),
    tile("Kept answers given", status.cache_hits),
    tile("Duplicates", ingress.duplicate),
    tile("Not for us", sum(ingress.ignored)),
    tile("Refused, come again", sum(ingress.refused), refused),
    tile("Unreadable", ingress.unreadable),
    tile("Wrong token", ingress.unauthorized),
  ];
}

function tile(title, amount, more = []) {
  return h(
    "div.tile",
    { title: more.join("\n") || null },
    h("span.tile-title", {}, title),
    h("span.tile-value", {}, number(amount)),
    more.length ? h("span.quiet", {}, more[0]) : null,
  );
}
