// The browsers that are logged in at the dashboard, with a button that logs one out.

import { post } from "./api.js";
import { fillWhen, h } from "./dom.js";
import { confirmAction, withToast } from "./feedback.js";
import { duration } from "./format.js";
import { icon } from "./icons.js";
import { poll } from "./polling.js";

const PATH = "/v1/dashboard/sessions";
const EVERY_MS = 5_000;

/** The list; loaded again while it is shown. */
export function sessions(signal) {
  const root = h("div");
  const list = h("ul");
  const again = poll(root, PATH, () => ({}), EVERY_MS, signal, (view) => {
    if (!list.isConnected) root.append(list);
    fillWhen(list, view.sessions.map(shownOf), () => view.sessions.map((one) => line(one, logOut)));
  });
  return root;

  async function logOut(one) {
    const sure = await confirmAction(
      `Log out session ${one.session}?`,
      "Its pages close at once. Its user needs a new link to come back.",
      "Log out",
    );
    if (!sure) return;
    await withToast(
      () => post(`${PATH}/${encodeURIComponent(one.session)}/close`),
      `Session ${one.session} is logged out.`,
    );
    again();
  }
}

/** Without the seconds, or it would be drawn again and again. */
function shownOf(one) {
  return { ...one, open_seconds: 0, seconds_left: 0, idle_seconds: Math.floor(one.idle_seconds / 10) };
}

function line(one, logOut) {
  const link = one.asked_by === "start" ? "the link printed at the start" : `a link of ${one.asked_by}`;
  return h(
    "li.session",
    {},
    h(
      "div",
      {},
      h("p", {}, h("code", {}, one.session), `, level ${one.level}, by ${link}`),
      h(
        "p.quiet",
        {},
        `Logged in ${duration(one.open_seconds)} ago, last seen ${duration(one.idle_seconds)} ago, `,
        `ends in ${duration(one.seconds_left)}`,
      ),
    ),
    one.is_yours ? h("strong.yours", {}, "This is you") : null,
    one.may_close && !one.is_yours
      ? h("button.button", { type: "button", onclick: () => logOut(one) }, icon("leave"), "Log out")
      : null,
  );
}
