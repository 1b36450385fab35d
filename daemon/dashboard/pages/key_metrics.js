// The row of plots: throughput, latencies, and what is waiting.

import { h } from "./dom.js";
import { ms, number, rate } from "./format.js";
import { Plot } from "./plots.js";
import { store } from "./store.js";

const percentiles = (what) => [
  (sample) => sample.latencies[what]?.p50_ms ?? null,
  (sample) => sample.latencies[what]?.p95_ms ?? null,
];
const PERCENTILES = "p50, p95";

const PLOTS = [
  { title: "Acknowledged", note: "per second", series: [(sample) => sample.acknowledged], format: rate, minTop: 1 },
  { title: "Answered", note: "turns per second", series: [(sample) => sample.answered], format: rate, minTop: 1 },
  { title: "Waiting", note: "messages", series: [(sample) => sample.waiting], format: number, minTop: 5 },
  { title: "Running", note: "turns", series: [(sample) => sample.running], format: number, minTop: 5 },
  { title: "Ack latency", note: PERCENTILES, series: percentiles("acknowledgement"), format: ms, minTop: 5 },
  { title: "Turn latency", note: PERCENTILES, series: percentiles("turn"), format: ms, minTop: 20 },
];

export function keyMetrics(signal) {
  const plots = PLOTS.map((one) => new Plot(one));
  const update = () => plots.forEach((plot) => plot.update(store.history));
  store.on("top", update, signal);
  if (store.history.length) update();
  return h(
    "section.key-metrics",
    { "aria-label": "Rates and latencies, last five minutes" },
    plots.map((plot) => plot.node),
  );
}
