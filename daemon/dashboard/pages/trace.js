// The trace of a turn: bars on one time scale, and a table for screen readers.

import { bdi, h } from "./dom.js";
import { exact, ms } from "./format.js";
import { OUTCOMES, SPAN_KINDS, reason } from "./words.js";

const STEPS = [1, 2, 5];
const MAX_TICKS = 4;

/** The spans of a turn followed by its sends, from the ledger or from events. */
export function spansOf(detail, live) {
  const began = Date.parse(detail.turn.started_at);
  const spans = detail.waterfall.map((span) => ({ ...span }));
  const known = detail.turn.parts.filter((part) => part.claimed_at && part.settled_at);
  for (const part of known) {
    const from = Date.parse(part.claimed_at) - began;
    spans.push(sendSpan(part.number, from, Date.parse(part.settled_at) - began - from, part.state === "sent"));
  }
  if (!known.length) {
    for (const sent of live?.sends ?? [])
      spans.push(sendSpan(sent.part, sent.at - began - sent.tookMs, sent.tookMs, true));
  }
  return spans;
}

function sendSpan(part, started, took, isOk) {
  const name = `message ${part + 1}`;
  return {
    name,
    stage: "send",
    started_ms: Math.max(0, started),
    took_ms: Math.max(0, took),
    outcome: isOk ? "ok" : "failed",
    error: "",
  };
}

/** `spans` in the shape of the `waterfall` of /v1/turns. */
export function traceChart(spans) {
  const ran = spans
    .filter((span) => span.outcome !== "skipped")
    .sort((one, other) => one.started_ms - other.started_ms);
  const skipped = spans.filter((span) => span.outcome === "skipped");
  if (!ran.length) return h("p.empty-line", {}, "No trace is recorded for this turn.");
  const end = Math.max(1, ...ran.map((span) => span.started_ms + span.took_ms));
  const ticks = ticksOf(end);
  return h(
    "figure.trace",
    {},
    h(
      "figcaption.legend",
      {},
      swatch("lookup", "lookups"),
      swatch("responder", "responder"),
      swatch("send", "sends"),
      h("span.legend-end", {}, `${ms(end)} in total`),
    ),
    h(
      "div.trace-rows",
      { role: "table", "aria-label": `Steps of the turn, ${ms(end)} in total` },
      h(
        "div.trace-row.trace-head",
        { role: "row" },
        h("span", { role: "columnheader" }, "Step"),
        h(
          "span.trace-scale",
          { role: "columnheader", "aria-label": "Time" },
          ticks.map((at) => tick(at, end)),
        ),
        h("span.trace-ms", { role: "columnheader" }, "Duration"),
      ),
      ran.map((span) => row(span, end, ticks)),
    ),
    skipped.length
      ? h("p.skipped", {}, "Skipped: ", skipped.map((span) => span.name.replaceAll("_", " ")).join(", "))
      : null,
  );
}

function row(span, end, ticks) {
  const kind = SPAN_KINDS[span.stage] ?? "lookup";
  const from = (span.started_ms / end) * 100;
  const width = Math.min((span.took_ms / end) * 100, 100 - from);
  const bar = h(`span.trace-bar.${kind}.${span.outcome}`, { style: { "--from": `${from}%`, "--width": `${width}%` } });
  const problem =
    span.outcome === "ok"
      ? null
      : h("span.trace-error", {}, `${OUTCOMES[span.outcome]}${span.error ? `: ${reason(span.error)}` : ""}`);
  return h(
    "div.trace-row",
    { role: "row" },
    h(
      "span.trace-name",
      { role: "cell" },
      bdi(span.name.replaceAll("_", " ")),
      h("span.visually-hidden", {}, `, ${kind}`),
      problem,
    ),
    h(
      "span.trace-track",
      { role: "cell", "aria-hidden": "true" },
      ticks.map((at) => line(at, end)),
      bar,
    ),
    h("span.trace-ms", { role: "cell" }, ms(span.took_ms), h("span.trace-from", {}, `at ${ms(span.started_ms)}`)),
  );
}

/** Only the first tick has the unit: a phone has no room for more, and the last one none beside the durations. */
function tick(at, end) {
  const unit = end >= 1_000 ? ["s", 1_000] : ["ms", 1];
  return h(
    "span.trace-tick",
    { style: { "--from": `${(at / end) * 100}%` } },
    `${exact(at / unit[1])}${at ? "" : ` ${unit[0]}`}`,
  );
}
const line = (at, end) => h("span.trace-line", { "aria-hidden": "true", style: { "--from": `${(at / end) * 100}%` } });
const swatch = (kind, words) => h("span.swatch", {}, h(`span.swatch-box.${kind}`), words);

/** Round times on the scale, starting with 0, none too near to the end. */
function ticksOf(end) {
  const rough = end / MAX_TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * (STEPS.find((one) => one * power >= rough) ?? 10);
  const found = [];
  for (let at = 0; at < end * 0.94; at += step) found.push(at);
  return found;
}
