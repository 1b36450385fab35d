// The sign-in page: how to get a login link. Shown without a session, for a used link, and after a session has ended.

import { post } from "./api.js";
import { fill, h, setText } from "./dom.js";
import { icon } from "./icons.js";
import { tokenOf } from "./router.js";

const COMMAND = "majlis dashboard";
const PORT = location.port || 80;

const WORDS = {
  none: [
    "Sign in with a link",
    "This page shows customers' conversations and lets you control them, so it opens with a one-time link.",
  ],
  used: ["This link is not valid", ""],
  ended: [
    "Your session has ended",
    "Sessions end after some hours, and when the daemon restarts. Sign in again with a new link.",
  ],
  away: ["The daemon does not answer", "This page is served by the daemon itself. Start it, then try again."],
};

/** Show the sign-in page in `root`. `entered` is called after a pasted link was accepted. */
export function loginPage(root, kind, detail, entered) {
  const [title, about] = WORDS[kind];
  const problem = h("p.login-error", { role: "alert" }, kind === "used" || kind === "away" ? detail : "");
  fill(
    root,
    h(
      "main.login",
      { tabindex: "-1", "aria-labelledby": "login-title" },
      h("img.login-logo", { src: "/static/favicon.svg", alt: "", width: 56, height: 56 }),
      h("h1", { id: "login-title" }, title),
      about ? h("p.login-about", {}, about) : null,
      problem,
      kind === "away" ? again() : steps(problem, entered),
    ),
  );
  root.querySelector("main").focus({ preventScroll: true });
}

function again() {
  return h("button.button.strong", { type: "button", onclick: () => location.reload() }, icon("retry"), "Try again");
}

function steps(problem, entered) {
  const input = h("input", {
    id: "login-link",
    name: "link",
    type: "text",
    required: true,
    autocomplete: "off",
    spellcheck: "false",
    placeholder: `${location.origin}/#login=…`,
  });
  const enter = async (event) => {
    event.preventDefault();
    problem.textContent = "";
    try {
      await post("/session", { token: tokenOf(input.value) });
      entered();
    } catch (error) {
      setText(problem, error.message);
      input.select();
    }
  };
  return h(
    "ol.login-steps",
    {},
    h("li", {}, h("span", {}, "On the machine where Majlis runs:"), command(COMMAND)),
    h(
      "li",
      {},
      h("span", {}, "Open the link that it prints, or paste it here."),
      h(
        "form.login-form",
        { onsubmit: enter },
        h("label.visually-hidden", { for: "login-link" }, "Login link"),
        input,
        h("button.button.strong", { type: "submit" }, "Sign in"),
      ),
    ),
    h(
      "li.login-remote",
      {},
      h("span", {}, "If that is another machine, open a tunnel first:"),
      command(`ssh -L ${PORT}:127.0.0.1:${PORT} your-server`),
    ),
  );
}

function command(text) {
  const button = h(
    "button.button.quiet",
    { type: "button", "aria-label": `Copy: ${text}`, onclick: copy },
    icon("copy"),
  );
  return h("span.command", {}, h("code", {}, text), button);

  async function copy() {
    await navigator.clipboard?.writeText(text);
    fill(button, icon("check"));
    setTimeout(() => fill(button, icon("copy")), 1_500);
  }
}
