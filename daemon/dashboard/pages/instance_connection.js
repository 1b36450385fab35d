// The gateway's webhook: whether it leads here, setting it, pairing the phone, and giving it back.
//
// Nothing is replaced that was not shown: the answer of the look names what stands at the gateway, and the daemon
// refuses when that has changed since.

import { ApiError, get, post } from "./api.js";
import { bdi, fill, fillWhen, h } from "./dom.js";
import { field, lineInput, secretInput } from "./fields.js";
import { confirmAction, showToast } from "./feedback.js";
import { count, duration, moment } from "./format.js";
import { NEEDS, PHONES } from "./instance_words.js";
import { pairing } from "./instance_pairing.js";
import { statusLine } from "./status_line.js";
import { store } from "./store.js";

const SIGNS = { ok: "ok", warning: "warn", problem: "error" };

export class Connection {
  #page;
  #may = store.may("admin");
  #state = h("div", { role: "status" });
  #work = h("div.connect-work");
  #connect = h("button.button.strong", { type: "button" }, "Connect …");
  #back = h("button.button", { type: "button", hidden: true }, "Give it back …");

  constructor(page) {
    this.#page = page;
    this.#connect.disabled = this.#back.disabled = !this.#may;
    this.#connect.addEventListener("click", () => this.#form());
    this.#back.addEventListener("click", () => this.#giveBack(false));
    this.node = h(
      "div",
      {},
      this.#state,
      h("div.row", {}, this.#connect, this.#back, this.#may ? null : h("span.quiet", {}, NEEDS.admin)),
      this.#work,
    );
  }

  update() {
    this.#load();
  }

  async #load() {
    const { path, signal } = this.#page;
    const found = await get(`${path}/connection`).catch((error) => error);
    if (signal.aborted) return;
    if (found instanceof Error) {
      if (!(found instanceof ApiError)) throw found;
      delete this.#state.dataset.signature;
      return void fill(this.#state, statusLine("warn", "The connection is not known", found.message));
    }
    this.#back.hidden = !found.connected;
    const age = found.last_event_seconds;
    const shown = { ...found, last_event_seconds: age === null ? null : duration(age) };
    fillWhen(this.#state, shown, () => stateOf(found));
  }

  // Connecting: a form, what it would do, and the deed.

  #form() {
    const url = field(
      "Address of Majlis, as the gateway reaches it",
      lineInput("", { inputmode: "url", placeholder: "https://…" }),
      "Empty: as last time, else where Majlis listens.",
    );
    const gateway = field("Gateway address", lineInput("", { inputmode: "url" }), "Empty: that of the settings.");
    const sealed = "Empty: that of the settings. Stored sealed, and never shown again.";
    const key = field("Gateway key", secretInput(), sealed);
    const found = h("div", { role: "status" });
    const look = h("button.button.strong", { type: "submit" }, "Look what stands there");
    const wish = () => ({ url: url.value.trim(), gateway: gateway.value.trim(), api_key: key.value });
    const ask = async () => {
      look.disabled = true;
      fill(found, h("p.quiet", {}, "Asking the gateway …"));
      const answer = await this.#ask("connect", wish());
      look.disabled = false;
      if (answer instanceof Error) return void fill(found, statusLine(false, answer.message));
      fill(found, this.#looked(answer, wish(), found));
    };
    fill(
      this.#work,
      h(
        "form.fields",
        { onsubmit: (event) => (event.preventDefault(), ask()) },
        url.node,
        h("details", {}, h("summary", {}, "Another gateway"), h("div.fields", {}, gateway.node, key.node)),
        h("div.row", {}, look, h("button.button", { type: "button", onclick: () => this.#close() }, "Close")),
        found,
      ),
    );
    url.input.focus();
  }

  #close() {
    this.#work.replaceChildren();
    this.#connect.focus();
  }

  #looked(view, wish, place) {
    const force = h("input", { type: "checkbox" });
    const isMissing = !view.may_connect;
    const set = h("button.button.strong", { type: "button", disabled: isMissing }, "Set the webhook …");
    force.addEventListener("change", () => (set.disabled = isMissing && !force.checked));
    set.addEventListener("click", () => this.#set(view, { ...wish, force: force.checked }, place));
    return [
      checks(view),
      addresses(view),
      isMissing ? h("label.check", {}, force, "Set it although something is missing") : null,
      h("div.row", {}, set),
      this.#phone(view),
    ];
  }

  async #set(view, wish, place) {
    const former = view.now?.url;
    const about = [
      former ? ["The gateway posts to ", bdi(former), " now. "] : "The gateway posts nowhere now. ",
      ["From then on it posts to ", bdi(view.shall.url), ". "],
      former ? "The former address is kept, and can be given back." : null,
    ];
    if (!(await confirmAction(["Connect ", bdi(this.#page.name), "?"], about, "Set the webhook"))) return;
    fill(place, h("p.quiet", {}, "Setting the webhook, and asking the gateway what it has …"));
    const done = await this.#ask("connect", { ...wish, confirm: true, seen: view.seen });
    if (done instanceof Error) return void fill(place, statusLine(false, done.message));
    fill(place, [
      done.done
        ? statusLine(done.ended === "proven" ? "ok" : "warn", "Connected.", done.words)
        : statusLine("error", "Not connected.", done.words),
      checks(done),
      this.#phone(done),
    ]);
    if (done.done) showToast("Connected: the gateway posts to Majlis now.");
    await this.#page.changed();
  }

  #phone(view) {
    const place = h("div", { role: "status" });
    if (view.phone === "open") return fill(place, statusLine("ok", PHONES.open));
    const paired = () => (fill(place, statusLine("ok", PHONES.open)), this.#page.changed());
    const words = statusLine("warn", PHONES[view.phone] ?? PHONES.unknown);
    return fill(place, words, view.can_pair ? pairing(this.#page, paired) : null);
  }

  // Giving it back: what would be done, and the deed.

  async #giveBack(force) {
    const seen = await this.#ask("disconnect", { force });
    if (seen instanceof Error) return showToast(seen.message, "error");
    const changed = seen.ended === "changed";
    if (seen.ended !== "would_be" && !changed) return showToast(seen.words, "error");
    const former = seen.former?.url;
    const about = [
      `${seen.words} `,
      former ? ["The gateway will post to ", bdi(former), " again. "] : "The gateway will post nowhere. ",
      seen.pending ? `${count(seen.pending, "conversation")} that Majlis has to answer are still answered.` : null,
    ];
    const although = changed ? " back although it was changed?" : " back?";
    const title = ["Give the webhook of ", bdi(this.#page.name), although];
    if (!(await confirmAction(title, about, changed ? "Give it back all the same" : "Give it back"))) return;
    const done = await this.#ask("disconnect", { force: force || changed, confirm: true });
    if (done instanceof Error) return showToast(done.message, "error");
    showToast(done.words, done.ended === "given_back" ? "ok" : "error");
    await this.#page.changed();
  }

  /** The answer, or the error of a refusal. */
  async #ask(what, body) {
    const answer = await post(`${this.#page.path}/${what}`, body).catch((error) => error);
    if (answer instanceof Error && !(answer instanceof ApiError)) throw answer;
    return answer;
  }
}

function stateOf(found) {
  const byHand = "It may have been set by hand.";
  if (!found.connected)
    return [statusLine("warn", "Majlis has not set the gateway's webhook.", byHand), eventsOf(found)];
  const set = [", set ", moment(found.set_at), " by ", bdi(found.set_by), "."];
  return [
    statusLine("ok", "Connected:", ["the gateway posts to ", bdi(found.url), set]),
    eventsOf(found),
    found.pending ? h("p.quiet", {}, `${count(found.pending, "conversation")} with something to answer.`) : null,
  ];
}

function eventsOf(found) {
  const last = found.last_event_seconds;
  if (last === null) return statusLine("warn", "No event came yet", "through this daemon's door since its start.");
  return statusLine("ok", count(found.events, "event"), `came since the start, the last ${duration(last)} ago.`);
}

/** What was found out; more is said of the phone elsewhere. */
const checks = (view) =>
  view.checks
    .filter(({ name }) => name !== "phone")
    .map((check) => statusLine(SIGNS[check.state], check.name, check.detail, check.advice));

function addresses(view) {
  const line = (words, webhook) => [h("dt", {}, words), h("dd", {}, webhook ? bdi(webhook.url) : h("em", {}, "none"))];
  return h("dl.addresses", {}, line("Now", view.now), line("Then", view.shall), line("Given back later", view.former));
}
