// A ring that empties until a deadline: animated by the browser, with the seconds updated ten times a second.
// With reduced motion it moves once a second.

import { s, h, setText } from "./dom.js";
import { left, tenth } from "./format.js";

const TICK_MS = 100;
const SAME_DEADLINE_MS = 200;
export const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");
const ticking = new Set();

setInterval(() => {
  const now = performance.now();
  for (const tick of ticking) tick(now);
}, TICK_MS);

/** Calls `update(secondsLeft)` until the returned function is called; for texts with a running time. */
export function countdown(deadline, update) {
  const tick = (now) => update(Math.max(0, (deadline() - now) / 1000));
  ticking.add(tick);
  tick(performance.now());
  return () => ticking.delete(tick);
}

export class Ring {
  #bar;
  #figure;
  #animation = null;
  #deadline = null;
  #whole = 0;
  #tick = () => this.#update();

  constructor(className = "") {
    const circle = { cx: 18, cy: 18, r: 15.5, pathLength: 100, fill: "none" };
    this.#bar = s("circle.ring-bar", { ...circle, "stroke-dasharray": "100 110", "stroke-dashoffset": 100 });
    this.#figure = h("span.ring-figure");
    const drawing = s(
      "svg",
      { viewBox: "0 0 36 36", "aria-hidden": "true" },
      s("circle.ring-track", circle),
      this.#bar,
    );
    this.node = h(`span.ring${className}`, { role: "timer" }, drawing, this.#figure);
  }

  /** Empty it until `deadline` (on performance.now()'s clock) of `wholeSeconds`; null: no countdown. */
  until(deadline, wholeSeconds, words = "time left") {
    const same = deadline !== null && this.#deadline !== null && Math.abs(deadline - this.#deadline) < SAME_DEADLINE_MS;
    if (same && wholeSeconds === this.#whole) return;
    this.#deadline = deadline;
    this.#whole = wholeSeconds;
    this.#animation?.cancel();
    this.#animation = null;
    this.node.classList.remove("turning", "full");
    if (deadline === null) {
      ticking.delete(this.#tick);
      this.#bar.style.strokeDashoffset = "";
      setText(this.#figure, "");
      return;
    }
    this.node.setAttribute("aria-label", words);
    ticking.add(this.#tick);
    this.#update();
    if (reducedMotion.matches) return;
    const leftMs = Math.max(0, deadline - performance.now());
    const frames = [{ strokeDashoffset: this.#offset(leftMs) }, { strokeDashoffset: 100 }];
    this.#animation = this.#bar.animate(frames, { duration: leftMs, fill: "forwards", easing: "linear" });
  }

  /** Something runs without a known end: `sign` is in the middle. */
  turning(sign = "") {
    this.until(null, 0);
    this.node.classList.add("turning");
    this.#rest(sign);
  }

  /** Nothing runs: the whole ring or an empty one, with `sign` in the middle. */
  still(sign = "", full = false) {
    this.until(null, 0);
    this.node.classList.toggle("full", full);
    this.#rest(sign);
  }

  #rest(sign) {
    this.node.removeAttribute("aria-label");
    if (sign instanceof Node) this.#figure.replaceChildren(sign);
    else setText(this.#figure, sign);
  }

  #offset(leftMs) {
    const share = this.#whole > 0 ? Math.min(1, leftMs / 1000 / this.#whole) : 1;
    return 100 - 100 * share;
  }

  #update() {
    if (!this.node.isConnected && this.#animation?.playState === "finished") {
      ticking.delete(this.#tick);
      return;
    }
    const leftMs = Math.max(0, this.#deadline - performance.now());
    setText(this.#figure, leftMs < 60_000 ? tenth(leftMs / 1000) : coarse(leftMs / 1000));
    if (reducedMotion.matches) this.#bar.style.strokeDashoffset = String(this.#offset(Math.ceil(leftMs / 1000) * 1000));
  }

  /** Stop: the ring is no longer shown. */
  leave() {
    this.until(null, 0);
  }
}

/** `9m`, `5h`, `2d`: short enough for the ring. */
function coarse(seconds) {
  const [amount, unit] = left(seconds).split(" ");
  return `${amount}${unit[0]}`;
}
