// Icons as line drawings.

import { s } from "./dom.js";

const ICONS = {
  live: "M3 12h4l2.5-7 5 14L17 12h4",
  chat: "M4 5h16v11H9l-5 4z",
  dead: "M3 6h18v12H3zM3 7l9 7 9-7",
  events: "M4 6h16M4 12h16M4 18h10",
  health: "M12 20s-8-4.6-8-10.2A4.4 4.4 0 0 1 12 7a4.4 4.4 0 0 1 8 2.8C20 15.4 12 20 12 20z",
  instances: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z",
  plus: "M12 5v14M5 12h14",
  flag: "M5 21V4M5 5h13l-3 4 3 4H5",
  pause: "M8 5v14M16 5v14",
  play: "M7 4.5v15l12-7.5z",
  close: "M5 5l14 14M19 5L5 19",
  sun:
    "M12 7a5 5 0 1 0 0 10 5 5 0 0 0 0-10zM12 1v2M12 21v2M1 12h2M21 12h2" +
    "M4.2 4.2l1.4 1.4M18.4 18.4l1.4 1.4M19.8 4.2l-1.4 1.4M5.6 18.4l-1.4 1.4",
  moon: "M20 14.5A8.5 8.5 0 1 1 9.5 4a7 7 0 0 0 10.5 10.5z",
  auto: "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18",
  send: "M4 12l16-8-5 16-3.5-6.5zM11.5 13.5L20 4",
  back: "M15 5l-7 7 7 7",
  check: "M4 12.5l5 5L20 6.5",
  warn: "M12 3l10 18H2zM12 10v5M12 17.5v.5",
  person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4 21c0-4 3.6-6.5 8-6.5s8 2.5 8 6.5",
  link: "M10 14l10-10M14 4h6v6M19 14v6H4V5h6",
  leave: "M10 4H4v16h6M9 12h12M17 8l4 4-4 4",
  copy: "M9 9h11v11H9zM15 9V4H4v11h5",
  retry: "M4 12a8 8 0 0 1 13.7-5.6L20 8.5M20 3v5.5h-5.5M20 12a8 8 0 0 1-13.7 5.6L4 15.5M4 21v-5.5h5.5",
};

/** An icon; decoration only, so screen readers skip it. */
export function icon(name) {
  return s(
    "svg.icon",
    { viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" },
    s("path", { d: ICONS[name] }),
  );
}
