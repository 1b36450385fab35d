// Mode shadow: what Majlis would have said to each burst, beside what the old system sent.
//
// Texts are hidden as everywhere; revealed ones are those of that moment, kept while the page is open, so that the audit
// log has one entry for one look and not one for each refresh.

import { ApiError, get } from "./api.js";
import { bdi, fill, fillWhen, h } from "./dom.js";
import { withToast } from "./feedback.js";
import { count, exact, moment, ms, number } from "./format.js";
import { textOf } from "./message_list.js";
import { maskNotice } from "./polling.js";
import { beside } from "./router.js";
import { store } from "./store.js";
import { rule } from "./words.js";

const LOOK_MS = 9_000; // the page itself looks more often; this reads many turns
const FEW = 20;
const MORE = 200;

export class Shadow {
  node = h("div");
  #page;
  #mode = "";
  #limit = FEW;
  #askedAt = -Infinity;
  #revealed = new Map(); // turns by id, as they were revealed

  constructor(page) {
    this.#page = page;
  }

  get #path() {
    return `${this.#page.path}/shadow`;
  }

  update(view) {
    const changed = this.#mode !== view.mode;
    this.#mode = view.mode;
    this.node.parentElement.hidden ||= changed && view.mode !== "shadow" && !this.node.dataset.signature;
    if (changed || performance.now() - this.#askedAt >= LOOK_MS) this.#load();
  }

  async #load() {
    this.#askedAt = performance.now();
    const found = await get(this.#path, { limit: this.#limit }).catch((error) => error);
    if (this.#page.signal.aborted) return;
    const section = this.node.parentElement;
    if (found instanceof Error) {
      if (!(found instanceof ApiError)) throw found;
      section.hidden = this.#mode !== "shadow";
      delete this.node.dataset.signature;
      return void fill(this.node, h("p.empty-line", {}, found.message));
    }
    section.hidden = this.#mode !== "shadow" && !found.turns.length;
    fillWhen(this.node, [found, this.#mode, [...this.#revealed.keys()]], () => this.#all(found));
  }

  #all(found) {
    if (!found.turns.length)
      return h("p.empty-line", {}, "Nothing was heard in this mode yet: the comparison appears with the first message.");
    const isRevealed = found.turns.every((turn) => this.#revealed.has(turn.id));
    return [
      summary(found.summary),
      maskNotice(store.may("admin"), isRevealed, () => this.#reveal()),
      h(
        "ol.shadow-turns",
        {},
        found.turns.map((turn) => line(turn, this.#revealed.get(turn.id))),
      ),
      found.turns.length === FEW && this.#limit === FEW
        ? h("button.button", { type: "button", onclick: () => this.#earlier() }, "Show earlier ones")
        : null,
    ];
  }

  #earlier() {
    this.#limit = MORE;
    this.#load();
  }

  async #reveal() {
    await withToast(async () => {
      const found = await get(this.#path, { limit: this.#limit, reveal: true });
      for (const turn of found.turns) this.#revealed.set(turn.id, turn);
      await this.#load();
    }, "Revealed, and recorded in the audit log.");
  }
}

function summary(all) {
  const shares = [
    ["both answered", all.both],
    ["only Majlis", all.only_majlis],
    ["only the old system", all.only_old],
    ["nobody", all.neither],
  ];
  const took = [
    ["Majlis", all.majlis_seconds],
    ["the old system", all.old_seconds],
  ].filter(([, seconds]) => seconds !== null);
  return h(
    "p",
    {},
    `Of the latest ${count(all.turns, "turn")}: `,
    shares.map(([words, amount], place) => `${place ? ", " : ""}${words} ${number(amount)}`),
    ". ",
    took.length ? `Half were answered within ${took.map(([who, seconds]) => `${time(seconds)} by ${who}`).join(", ")}. ` : null,
    `Cost: ${exact(all.cost)}.`,
  );
}

const time = (seconds) => ms(seconds * 1000);

/** `revealed`: the same turn with its texts, when they were revealed. What the old system says later is hidden again. */
function line(turn, revealed) {
  const { majlis } = turn;
  const texts = revealed ?? turn;
  return h(
    "li.shadow-turn",
    {},
    h(
      "p.quiet",
      {},
      moment(turn.at),
      " ",
      h("a", { href: beside("conversation", turn.conversation) }, bdi(texts.contact)),
      " · ",
      h("a", { href: beside("turn", turn.id) }, `Turn ${number(turn.id)}`),
    ),
    h(
      "dl.shadow-said",
      {},
      said("Customer", textOf(texts.text)),
      said(
        "Majlis",
        majlis.text ? textOf(texts.majlis.text) : h("p", {}, silence(majlis)),
        majlis.text && majlis.seconds !== null
          ? [`after ${time(majlis.seconds)}, `, bdi(majlis.model || majlis.provider), `, cost ${exact(majlis.cost)}`]
          : null,
      ),
      turn.old.length
        ? turn.old.map((one, place) => said(SENDERS[one.sender] ?? "Business", textOf((texts.old[place] ?? one).text), `after ${time(one.seconds)}`))
        : said("Old system", h("p", {}, "nothing")),
    ),
  );
}

const SENDERS = { program: "Old system", person: "A person", agent: "A person" };

const silence = (majlis) => (majlis.rule ? `nothing: ${rule(majlis.rule)}` : "nothing: it failed");

const said = (who, words, about = null) => [
  h("dt", {}, who),
  h("dd", {}, words, about ? h("p.quiet", {}, about) : null),
];
