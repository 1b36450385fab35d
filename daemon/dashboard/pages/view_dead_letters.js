// Dead letters: turns that ran out of attempts or were refused. Kept until they are retried or dropped.

import { get, post } from "./api.js";
import { bdi, fill, fillWhen, h, setText } from "./dom.js";
import { icon } from "./icons.js";
import { count, moment, number } from "./format.js";
import { beside } from "./router.js";
import { store } from "./store.js";
import { withToast, confirmAction } from "./feedback.js";
import { reason } from "./words.js";

const LOOK_MS = 2_000;
const LIMIT = 200;

export function deadLetters(root, signal) {
  let includeSettled = false;
  let open = 0;
  let timer = 0;
  const list = h("ul.dead-letters");
  const total = h("span.count");
  const every = h("button.button", { type: "button", hidden: true, onclick: retryAll }, icon("retry"), "Retry all");
  const ended = h(
    "label.check",
    {},
    h("input", { type: "checkbox", onchange: (event) => ((includeSettled = event.target.checked), look()) }),
    "Include retried and dropped",
  );
  const problem = h("p.empty-line", { hidden: true, role: "alert" });
  fill(
    root,
    h(
      "section.narrow",
      { "aria-labelledby": "dead" },
      h("div.section-head", {}, h("h1", { id: "dead" }, "Dead letters"), total, h("div.choices", {}, ended, every)),
      h(
        "p.lead",
        {},
        "Turns that failed permanently, with what the customer wrote. ",
        "Nothing is lost: fix the cause, then retry, and the customer is answered.",
      ),
      problem,
      list,
    ),
  );
  look();
  signal.addEventListener("abort", () => clearTimeout(timer));

  async function look() {
    clearTimeout(timer);
    const page = await get("/v1/dead", { limit: LIMIT, all: includeSettled }).catch((error) => error);
    if (signal.aborted) return;
    timer = setTimeout(look, LOOK_MS);
    problem.hidden = !(page instanceof Error);
    if (page instanceof Error) return setText(problem, page.message);
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
      !(await confirmAction(
        "Retry all dead letters?",
        `${count(open, "dead letter")} will be answered. Customers get replies to what they wrote at the time.`,
        "Retry all",
      ))
    )
      return;
    await withToast(
      () => post("/v1/dead/retry-all"),
      (done) => `${count(done.retried, "dead letter")} queued to be answered.`,
    );
    changed();
  }
}

function none() {
  return h("li.empty-line", {}, icon("check"), "No open dead letters.");
}

function line(letter, changed) {
  const open = isOpen(letter);
  return h(
    `li.dead-letter${open ? "" : ".ended"}`,
    {},
    h(
      "div.dead-letter-text",
      {},
      h(
        "p.dead-letter-reason",
        {},
        h("a", { href: beside("dead-letter", letter.id) }, `#${letter.id}`),
        " ",
        deadLetterReason(letter),
      ),
      h(
        "p.quiet",
        {},
        bdi(letter.instance),
        " ",
        bdi(letter.contact),
        ` · ${moment(letter.buried_at)}, after ${count(letter.tries, "attempt")}`,
      ),
      open
        ? null
        : h(
            "p.quiet",
            {},
            letter.dropped_at ? `Dropped ${moment(letter.dropped_at)}` : `Retried ${moment(letter.retried_at)}`,
          ),
    ),
    h("div.row", {}, deadLetterActions(letter, changed)),
  );
}

const isOpen = (letter) => !letter.retried_at && !letter.dropped_at;

/** Why it failed, as a sentence. The server knows whether it was the answer that failed, or its way to the customer. */
export function deadLetterReason(letter) {
  const words = letter.what || reason(letter.reason);
  const detail =
    letter.detail && letter.detail !== letter.reason
      ? h("span.detail", {}, " (", bdi(reason(letter.detail)), ")")
      : null;
  return [h("strong", {}, `${words[0].toUpperCase()}${words.slice(1)}`), detail];
}

/** Retry and drop, if the access level allows them and while they make sense. */
export function deadLetterActions(letter, changed) {
  if (!store.may("operate")) return [h("span.quiet", {}, "Retrying needs access level operate.")];
  if (letter.retried_at) return [];
  const retry = async () => {
    await withToast(() => post(`/v1/dead/${letter.id}/retry`), `Dead letter ${letter.id} queued to be answered.`);
    changed();
  };
  const drop = async () => {
    if (
      !(await confirmAction(
        `Drop dead letter ${letter.id}?`,
        "It will not be answered. It is kept, and can still be retried.",
        "Drop",
      ))
    )
      return;
    await withToast(
      () => post(`/v1/dead/${letter.id}/drop`),
      `Dead letter ${letter.id} dropped; it is kept in the list.`,
    );
    changed();
  };
  return [
    h("button.button", { type: "button", onclick: retry }, icon("retry"), "Retry"),
    letter.dropped_at ? null : h("button.button.quiet", { type: "button", onclick: drop }, "Drop"),
  ];
}
