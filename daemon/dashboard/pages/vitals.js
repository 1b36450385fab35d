// The row of plots: how much comes in and goes out, how long it takes, and what waits.

import { h } from "./dom.js";
import { ms, number, rate } from "./format.js";
import { Plot } from "./plots.js";
import { store } from "./store.js";

const half = (what) => (sample) => sample.latencies[what]?.p50_ms ?? null;
const most = (what) => (sample) => sample.latencies[what]?.p95_ms ?? null;
const HALF = "half, 95 % within"; // half of them took at most the first value, 95 of 100 the second

const PLOTS = [
  { title: "Acknowledged", note: "per second", series: [(sample) => sample.acknowledged], tell: rate, least: 1 },
  { title: "Answered", note: "turns per second", series: [(sample) => sample.answered], tell: rate, least: 1 },
  { title: "Waiting", note: "messages", series: [(sample) => sample.waiting], tell: number, least: 5 },
  { title: "Running", note: "turns", series: [(sample) => sample.running], tell: number, least: 5 },
  { title: "Ack latency", note: HALF, series: [half("acknowledgement"), most("acknowledgement")], tell: ms, least: 5 },
  { title: "Answer latency", note: HALF, series: [half("turn"), most("turn")], tell: ms, least: 20 },
];

export function vitals(signal) {
  const plots = PLOTS.map((one) => new Plot(one));
  const update = () => plots.forEach((plot) => plot.update(store.history));
  store.on("top", update, signal);
  if (store.history.length) update();
  return h(
    "section.vitals",
    { "aria-label": "Rates and latencies, last five minutes" },
    plots.map((plot) => plot.node),
  );
}
