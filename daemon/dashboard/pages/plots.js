// Small plots of the last five minutes as SVG: one or two values over time, the latest as text.

import { h, s, setText } from "./dom.js";
import { moment } from "./format.js";

const MIN_SPAN_MS = 60_000;
const MAX_SPAN_MS = 5 * 60_000;
const GAP_MS = 20_000;
const WIDTH = 300;
const HEIGHT = 56;
const STEPS = [1, 2, 3, 5, 8, 10];

export class Plot {
  #lines;
  #area;
  #value;
  #most;
  #mark;
  #drawing;
  #samples = [];
  #pointed = null;
  #span = MIN_SPAN_MS;

  /**
   * `series`: one or two functions from a sample to a number, or null for "unknown"; the first is written as text.
   * `format` writes a value; `minTop` is the smallest top of the scale.
   */
  constructor({ title, note, series, format, minTop }) {
    Object.assign(this, { title, series, format, minTop });
    this.#value = h("span.plot-value", {}, h("span", {}, "–"), h("span.plot-second"), h("span.plot-when"));
    this.#most = h("span.plot-most");
    this.#area = s("path.plot-area");
    this.#lines = series.map((_, index) => s(`path.plot-line.line-${index + 1}`));
    this.#mark = s("line.plot-mark", { y1: 0, y2: HEIGHT, visibility: "hidden" });
    this.#drawing = s(
      "svg.plot-drawing",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", tabindex: 0 },
      s("line.plot-floor", { x1: 0, x2: WIDTH, y1: HEIGHT - 0.5, y2: HEIGHT - 0.5 }),
      this.#area,
      [...this.#lines].reverse(),
      this.#mark,
    );
    for (const name of ["pointerdown", "pointermove"])
      this.#drawing.addEventListener(name, (event) => this.#point(this.#nearest(event)));
    this.#drawing.addEventListener("pointerleave", () => this.#point(null));
    this.#drawing.addEventListener("blur", () => this.#point(null));
    this.#drawing.addEventListener("keydown", (event) => this.#step(event));
    this.node = h(
      "div.plot",
      {},
      h(
        "div.plot-head",
        {},
        h("span.plot-title", {}, title, note ? h("span.plot-note", {}, ` ${note}`) : null),
        this.#most,
      ),
      this.#value,
      this.#drawing,
    );
  }

  update(samples) {
    this.#samples = samples;
    const now = samples.at(-1)?.at ?? 0;
    this.#span = Math.min(MAX_SPAN_MS, Math.max(MIN_SPAN_MS, now - (samples[0]?.at ?? now)));
    const found = this.series.map((value) =>
      samples.map((sample) => ({ x: this.#x(sample.at, now), at: sample.at, y: value(sample) })),
    );
    const highest = Math.max(0, ...found.flat().map((point) => point.y ?? 0));
    const top = roundUp(Math.max(highest, this.minTop));
    const runs = found.map((points) => runsOf(points));
    this.#lines.forEach((line, index) => line.setAttribute("d", runs[index].map((run) => path(run, top)).join("")));
    this.#area.setAttribute("d", runs[0].map((run) => area(run, top)).join(""));
    const latest = found[0].at(-1)?.y ?? null;
    setText(this.#most, highest && this.series.length === 1 ? `max ${this.format(highest)}` : "");
    const words = latest === null ? "not measured yet" : `now ${this.format(latest)}, maximum ${this.format(highest)}`;
    this.#drawing.setAttribute("aria-label", `${this.title}, last five minutes: ${words}`);
    if (this.#pointed === null) this.#write(samples.at(-1), false);
  }

  #x(at, now) {
    return WIDTH * (1 - (now - at) / this.#span);
  }

  #write(sample, pointed) {
    const [first, second] = this.series.map((value) => (sample ? value(sample) : null));
    const known = (value) => value !== undefined && value !== null;
    const [firstPlace, secondPlace, when] = this.#value.children;
    setText(firstPlace, known(first) ? this.format(first) : "–");
    setText(secondPlace, known(second) ? ` ${this.format(second)}` : "");
    setText(when, pointed ? ` ${moment(new Date(sample.wall).toISOString())}` : "");
  }

  /** The sample under a finger or a pointer; null: there is none. */
  #nearest(event) {
    if (!this.#samples.length) return null;
    const box = this.#drawing.getBoundingClientRect();
    const wanted = this.#samples.at(-1).at - (1 - (event.clientX - box.left) / box.width) * this.#span;
    return this.#samples.reduce((one, other) =>
      Math.abs(other.at - wanted) < Math.abs(one.at - wanted) ? other : one,
    );
  }

  /** The arrow keys go from sample to sample, starting with the latest. */
  #step(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || !this.#samples.length) return;
    event.preventDefault();
    const known = this.#samples.indexOf(this.#pointed);
    const next = (known < 0 ? this.#samples.length : known) + by;
    this.#point(this.#samples[Math.min(Math.max(next, 0), this.#samples.length - 1)]);
  }

  /** Show the values of one sample; null: the latest ones. */
  #point(sample) {
    this.#pointed = sample;
    if (sample === null) {
      this.#mark.setAttribute("visibility", "hidden");
      return this.#write(this.#samples.at(-1), false);
    }
    const x = this.#x(sample.at, this.#samples.at(-1).at);
    for (const end of ["x1", "x2"]) this.#mark.setAttribute(end, x);
    this.#mark.setAttribute("visibility", "visible");
    this.#write(sample, true);
  }
}

/** The points as runs without gaps. */
function runsOf(points) {
  const runs = [];
  let run = [];
  for (const point of points) {
    if (point.y === null) continue;
    if (run.length && point.at - run.at(-1).at > GAP_MS) runs.push(run.splice(0));
    run.push(point);
  }
  return run.length ? [...runs, run] : runs;
}

const high = (y, top) => (HEIGHT - 1 - (y / top) * (HEIGHT - 4)).toFixed(1);
const path = (run, top) =>
  run.map((point, index) => `${index ? "L" : "M"}${point.x.toFixed(1)} ${high(point.y, top)}`).join("");
const area = (run, top) => `${path(run, top)}L${run.at(-1).x.toFixed(1)} ${HEIGHT}L${run[0].x.toFixed(1)} ${HEIGHT}Z`;

function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * STEPS.find((step) => step * power >= value * 0.999);
}
