// What waits to be forwarded to the old address, and what could not be: in mode passthrough, or while there is any.

import { ApiError, get, post } from "./api.js";
import { fill, fillWhen, h } from "./dom.js";
import { confirmAction, withToast } from "./feedback.js";
import { bytes, count, duration, moment, number } from "./format.js";
import { icon } from "./icons.js";
import { NEEDS } from "./instance_words.js";
import { store } from "./store.js";
import { reason } from "./words.js";

const LIMIT = 50;

export class Forwards {
  node = h("div");
  #page;
  #mode = "";

  constructor(page) {
    this.#page = page;
  }

  update(view) {
    this.#mode = view.mode;
    this.#load();
  }

  async #load() {
    const { name, signal } = this.#page;
    const found = await get("/v1/forwards", { instance: name, limit: LIMIT }).catch((error) => error);
    if (signal.aborted) return;
    const section = this.node.parentElement;
    if (found instanceof Error) {
      if (!(found instanceof ApiError)) throw found;
      section.hidden = this.#mode !== "passthrough";
      delete this.node.dataset.signature;
      return void fill(this.node, h("p.empty-line", {}, found.message));
    }
    const queue = found.queues.find((one) => one.instance === name) ?? { waiting: 0, dead: 0 };
    section.hidden = this.#mode !== "passthrough" && !queue.waiting && !queue.dead;
    const shown = { ...queue, oldest_seconds: Math.floor(queue.oldest_seconds ?? 0), rests_seconds: 0 };
    fillWhen(this.node, [shown, found.webhooks], () => this.#all(queue, found.webhooks));
  }

  #all(queue, webhooks) {
    const may = store.may("operate");
    const oldest = `the oldest for ${duration(queue.oldest_seconds ?? 0)}`;
    return [
      h(
        "p",
        {},
        queue.waiting
          ? `${count(queue.waiting, "webhook")} waiting (${bytes(queue.waiting_bytes)}), ${oldest}.`
          : "Nothing is waiting: what came was forwarded.",
      ),
      queue.dead
        ? h(
            "p.row",
            {},
            icon("warn"),
            `${count(queue.dead, "webhook")} could not be forwarded (${bytes(queue.dead_bytes)}).`,
            h(
              "button.button",
              { type: "button", disabled: !may, onclick: () => this.#retryAll() },
              icon("retry"),
              "Forward them after all",
            ),
            may ? null : h("span.quiet", {}, NEEDS.operate),
          )
        : null,
      h(
        "ul.forwards",
        {},
        webhooks.map((one) => this.#line(one)),
      ),
    ];
  }

  #line(one) {
    return h(
      "li.setting",
      {},
      h(
        "div.setting-text",
        {},
        h("span", {}, h("strong", {}, `${number(one.id)} `), one.event || "webhook"),
        h(
          "span.quiet",
          {},
          `${moment(one.heard_at)}, ${bytes(one.size_bytes)}, ${count(one.tries, "attempt")}`,
          one.reason ? `: ${reason(one.reason)}` : "",
        ),
      ),
      one.state === "dead" ? h("div.row", {}, this.#deeds(one)) : null,
    );
  }

  #deeds(one) {
    const button = (name, level, words, act) =>
      store.may(level) ? h(name, { type: "button", onclick: () => act.call(this, one) }, words) : null;
    return [
      button("button.button", "operate", "Retry", this.#retry),
      button("button.button.quiet", "admin", "Drop", this.#drop),
    ];
  }

  async #retry(one) {
    await withToast(() => post(`/v1/forwards/${one.id}/retry`), `Webhook ${number(one.id)} waits again.`);
    this.#load();
  }

  async #retryAll() {
    const words = (done) => `${count(done.retried, "webhook")} wait again.`;
    await withToast(() => post("/v1/forwards/retry-all", {}, { instance: this.#page.name }), words);
    this.#load();
  }

  async #drop(one) {
    const about = "The old system never gets it, and nothing of it is kept.";
    if (!(await confirmAction(`Throw webhook ${number(one.id)} away?`, about, "Throw away"))) return;
    await withToast(() => post(`/v1/forwards/${one.id}/drop`), `Webhook ${number(one.id)} is gone.`);
    this.#load();
  }
}
