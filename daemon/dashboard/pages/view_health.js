// Health: readiness, alerts, stores, providers, latencies, targets and counts.

import { bdi, fill, fillWhen, h, setText } from "./dom.js";
import { icon } from "./icons.js";
import { statusLine } from "./status_line.js";
import * as format from "./format.js";
import { doctor, pauses } from "./health_actions.js";
import { period, present, sinceTheStart } from "./health_counts.js";
import { sessions } from "./health_sessions.js";
import { targets } from "./health_targets.js";
import { doorWarnings, lostWebhooks, sweepLine } from "./health_doors.js";
import { unknownInstances } from "./health_unknown.js";
import { auditLog } from "./health_audit.js";
import { store } from "./store.js";
import { ALERTS, LATENCIES, PROVIDER_STATES, alertValue, capital, reason } from "./words.js";

const { count, duration, ms, number } = format;
export function health(root, signal) {
  const parts = {
    readiness: h("div"),
    alerts: h("div"),
    lost: h("div"),
    unknown: h("div"),
    doors: h("div"),
    watched: h("ul.watched"),
    providers: h("div.scroll"),
    latencies: h("div.scroll"),
    now: h("div"),
    counts: h("div"),
    period: h("span.quiet"),
    pauses: h("div"),
  };
  const section = (id, title, part, ...more) =>
    h(
      `section.section-card.${id}`,
      { "aria-labelledby": `health-${id}` },
      h("div.section-head", {}, h("h2", { id: `health-${id}` }, title), ...more),
      part,
    );
  fill(
    root,
    h("h1.visually-hidden", {}, "Health"),
    h(
      "div.board",
      {},
      section("readiness", "Daemon", parts.readiness),
      section("alerts", "Alerts and warnings", [
        parts.alerts,
        parts.lost,
        parts.unknown,
        parts.doors,
        h("details", {}, h("summary", {}, "All alert rules"), parts.watched),
      ]),
      section("providers", "Providers", parts.providers),
      section("latencies", "Latencies", parts.latencies, h("span.quiet", {}, "latest 500 of each")),
      section("targets", "Targets", targets(signal)),
      section("now", "Now", parts.now),
      section("counts", "Counts", parts.counts, parts.period),
      section("pauses", "Pauses", parts.pauses),
      section("sessions", "Sessions", sessions(signal), h("span.quiet", {}, "browsers that are logged in here")),
      section("audit", "Audit log", auditLog(signal), h("span.quiet", {}, "what operators did and revealed")),
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
      status.stopping,
      status.sweep && [status.sweep.found, status.sweep.behind, status.sweep.instances],
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
    parts.alerts,
    top.alerts.map((alert) => [alert.flag, alert.value, Math.floor(alert.seconds)]),
    () => alerts(top.alerts),
  );
  const { lost } = status.ingress;
  fillWhen(
    parts.lost,
    lost.map((one) => [one.reason, one.count, Math.floor(one.seconds_ago / 10)]),
    () => lostWebhooks(lost),
  );
  const { unknown } = status.ingress;
  fillWhen(
    parts.unknown,
    unknown.map((one) => [one.instance, one.messages, Math.floor(one.seconds_ago / 10)]),
    () => unknownInstances(unknown),
  );
  fillWhen(parts.doors, [status.warnings], () => doorWarnings(status.warnings));
  fillWhen(
    parts.watched,
    top.alerts.map((alert) => alert.flag),
    () => watched(top.alerts),
  );
  fillWhen(parts.providers, top.providers, () => providers(top.providers));
  fillWhen(parts.latencies, top.latencies, () => latencies(top.latencies));
  fillWhen(parts.now, [status], () => present(status));
  fillWhen(parts.counts, [status, top.counters], () => sinceTheStart(status, top));
  setText(parts.period, period(top));
  fillWhen(parts.pauses, [top.pauses], () => pauses(top.pauses));
}

function readiness(status, top) {
  const stops = status.draining || Boolean(status.stopping);
  const ready = stops
    ? `Draining${status.stopping && ` (${status.stopping})`}: no new work is accepted`
    : status.ready
      ? "Ready: webhooks are accepted"
      : "Not ready: webhooks get 503, and the gateway sends them again";
  return [
    statusLine(
      status.ready && !stops,
      `${ready}.`,
      `Up ${duration(top.uptime_seconds)}, listening on ${status.listen}.`,
    ),
    status.reasons.map((words) => statusLine(false, words)),
    Object.entries(status.stores).map(([name, state]) =>
      statusLine(
        state === "ok",
        name[0].toUpperCase() + name.slice(1),
        state === "ok" ? "is reachable and as durable as configured." : state,
      ),
    ),
    statusLine(
      status.partitions_owned > 0,
      `${number(status.partitions_owned)} of ${number(status.partitions_total)} partitions`,
      "owned by this daemon.",
    ),
    sweepLine(status.sweep),
    status.feeds.map((feed) =>
      statusLine(
        feed.connected,
        ["Feed of ", bdi(feed.instance)],
        `${feed.connected ? "connected" : "not connected"}. ${feed.note}`,
      ),
    ),
    status.realtime
      ? statusLine(
          true,
          "Realtime",
          `on ${status.realtime.listen}: ${count(
            Object.values(status.realtime.connected).reduce((all, one) => all + one, 0),
            "connection",
          )}.`,
        )
      : null,
  ];
}

function alerts(raised) {
  return [
    raised.map((alert) => {
      const [title, advice] = ALERTS[alert.flag] ?? [alert.meaning, ""];
      return h(
        "div.raised-alert",
        {},
        icon("flag"),
        h(
          "div",
          {},
          h("p", {}, h("strong", {}, title), h("span.since", {}, ` for ${duration(alert.seconds)}`)),
          h("p", {}, capital(alertValue(alert, format)), alert.detail ? [": ", bdi(alert.detail)] : null, "."),
          h("p.quiet", {}, advice),
        ),
      );
    }),
    raised.length ? null : statusLine(true, "No alerts."),
  ];
}

function watched(alerts_) {
  const raised = new Set(alerts_.map((alert) => alert.flag));
  return Object.entries(ALERTS).map(([name, [words]]) =>
    h("li", {}, raised.has(name) ? icon("flag") : icon("check"), words),
  );
}

function providers(all) {
  if (!all.length)
    return [h("p.empty-line", {}, "No providers are configured: see responder.providers in config.yaml.")];
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
  if (!all.length) return [h("p.empty-line", {}, "Nothing measured yet.")];
  return [
    table(
      ["Step", "p50", "p95", "Maximum"],
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
