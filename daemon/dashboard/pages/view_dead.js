// Dead letters: turns that ran out of tries or were refused. Kept until somebody puts them back or drops them.

import { get, post } from "./api.js";
import { bdi, fill, fillWhen, h, setText } from "./dom.js";
import { icon } from "./icons.js";
import { count, moment, number } from "./format.js";
import { beside } from "./router.js";
import { store } from "./store.js";
import { attempt, confirmed } from "./talk.js";
import { reason } from "./words.js";

const LOOK_MS = 2_000;
const LIMIT = 200;

export function dead(root, signal) {
  let all = false;
  let open = 0;
  let timer = 0;
  const list = h("ul.letters");
  const total = h("span.count");
  const every = h("button.button", { type: "button", hidden: true, onclick: retryAll }, icon("retry"), "Retry all");
  const ended = h(
    "label.check",
    {},
    h("input", { type: "checkbox", onchange: (event) => ((all = event.target.checked), look()) }),
    "Also those retried or dropped",
  );
  const trouble = h("p.empty-line", { hidden: true, role: "alert" });
  fill(
    root,
    h(
      "section.narrow",
      { "aria-labelledby": "dead" },
      h("div.section-head", {}, h("h1", { id: "dead" }, "Dead letters"), total, h("div.choices", {}, ended, every)),
      h(
        "p.lead",
        {},
        "A turn that failed for good stands here with what the customer wrote. ",
        "Nothing is lost: mend the cause, then retry it, and it is answered.",
      ),
      trouble,
      list,
    ),
  );
  look();
  signal.addEventListener("abort", () => clearTimeout(timer));

  async function look() {
    clearTimeout(timer);
    const page = await get("/v1/dead", { limit: LIMIT, all }).catch((error) => error);
    if (signal.aborted) return;
    timer = setTimeout(look, LOOK_MS);
    trouble.hidden = !(page instanceof Error);
    if (page instanceof Error) return setText(trouble, page.message);
    open = page.open;
    setText(total, page.open ? `${number(page.open)} open` : "");
    every.hidden = page.open < 2 || !store.may("operate");
    fillWhen(list, [page.letters], () => (page.letters.length ? lines(page) : none()));
  }

  function lines(page) {
    const more = page.open - page.letters.length;
    return [
      ...page.letters.map((letter) => line(letter, changed)),
      more > 0 ? h("li.more", {}, `and ${number(more)} more`) : null,
    ];
  }

  function changed() {
    store.stale();
    look();
  }

  async function retryAll() {
    if (
      !(await confirmed(
        "Retry all dead letters?",
        `${count(open, "turn")} will be answered. Customers get replies to what they wrote then.`,
        "Retry all",
      ))
    )
      return;
    await attempt(
      () => post("/v1/dead/retry-all"),
      (done) => `${count(done.retried, "dead letter")} put back to be answered.`,
    );
    changed();
  }
}

function none() {
  return h("li.empty-line", {}, icon("check"), "No dead letters: every turn so far ended as it should.");
}

function line(letter, changed) {
  const open = isOpen(letter);
  return h(
    `li.letter${open ? "" : ".ended"}`,
    {},
    h(
      "div.letter-text",
      {},
      h("p.letter-why", {}, h("a", { href: beside("letter", letter.id) }, `Nº ${letter.id}`), " ", letterWords(letter)),
      h(
        "p.quiet",
        {},
        bdi(letter.instance),
        " ",
        bdi(letter.contact),
        ` · ${moment(letter.buried_at)}, after ${count(letter.tries, "try", "tries")}`,
      ),
      open
        ? null
        : h(
            "p.quiet",
            {},
            letter.dropped_at ? `Dropped ${moment(letter.dropped_at)}` : `Retried ${moment(letter.retried_at)}`,
          ),
    ),
    h("div.row", {}, letterActions(letter, changed)),
  );
}

const isOpen = (letter) => !letter.retried_at && !letter.dropped_at;

/** Why it died, as a sentence. */
export function letterWords(letter) {
  const words = reason(letter.reason);
  const detail =
    letter.detail && letter.detail !== letter.reason
      ? h("span.detail", {}, " (", bdi(reason(letter.detail)), ")")
      : null;
  return [h("strong", {}, `${words[0].toUpperCase()}${words.slice(1)}`), detail];
}

/** Retry and drop, for those who may and while it makes sense. */
export function letterActions(letter, changed) {
  if (!store.may("operate")) return [h("span.quiet", {}, "To retry it needs level operate.")];
  if (letter.retried_at) return [];
  const retry = async () => {
    await attempt(() => post(`/v1/dead/${letter.id}/retry`), `Dead letter ${letter.id} is put back to be answered.`);
    changed();
  };
  const drop = async () => {
    if (
      !(await confirmed(
        `Drop dead letter ${letter.id}?`,
        "Nobody will answer it any more. It is kept, and can still be retried by hand.",
        "Drop it",
      ))
    )
      return;
    await attempt(() => post(`/v1/dead/${letter.id}/drop`), `Dead letter ${letter.id} is dropped; it is kept.`);
    changed();
  };
  return [
    h("button.button", { type: "button", onclick: retry }, icon("retry"), "Retry"),
    letter.dropped_at ? null : h("button.button.quiet", { type: "button", onclick: drop }, "Drop"),
  ];
}
