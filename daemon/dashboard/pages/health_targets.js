// Targets: what is aimed at, what was measured, and what that says; and what each instance takes of Redis' memory.

import { get } from "./api.js";
import { bdi, fillWhen, h, setText } from "./dom.js";
import * as format from "./format.js";
import { statusLine } from "./status_line.js";

const LOOK_MS = 10_000;
const KINDS = { reached: "ok", missed: "error", unknown: "quiet" };
const UNITS = ["B", "KB", "MB", "GB", "TB"];
const SHOWN_INSTANCES = 5;

/** The whole section; it looks again every ten seconds. */
export function targets(signal) {
  const list = h("div");
  const memory = h("div");
  const problem = h("p.empty-line", { hidden: true, role: "alert" });
  let timer = 0;
  signal.addEventListener("abort", () => clearTimeout(timer));
  look();
  return [problem, list, h("details", {}, h("summary", {}, "Memory of the mirror by instance"), memory)];

  async function look() {
    const report = await get("/v1/kpi").catch((error) => error);
    if (signal.aborted) return;
    timer = setTimeout(look, LOOK_MS);
    problem.hidden = !(report instanceof Error);
    if (report instanceof Error) return setText(problem, report.message);
    fillWhen(list, [report.targets, report.untimed, report.is_whole], () => lines(report));
    fillWhen(memory, [report.mirror], () => mirror(report.mirror));
  }
}

function lines(report) {
  if (!report.targets.length)
    return h("p.empty-line", {}, "No target is set: see the section targets of config.yaml.");
  const newest = report.is_whole ? "" : ": only the newest turns are read";
  return [
    report.targets.map(line),
    h("p.quiet", {}, `Since ${format.moment(report.since)}${newest}.`),
    report.untimed
      ? h("p.quiet", {}, `Without the time of ${format.count(report.untimed, "answer")} that waited for something else.`)
      : null,
  ];
}

function line(row) {
  const measured = row.actual === null ? "nothing measured" : amount(row, row.actual);
  const from = format.count(row.samples, row.samples_are.replace(/s$/, ""));
  const words = `${row.what[0].toUpperCase()}${row.what.slice(1)}: ${row.says}.`;
  return statusLine(KINDS[row.state], words, `${measured}, target ${amount(row, row.target)}, from ${from}`, row.why);
}

function amount(row, value) {
  if (row.name === "response_time") return format.ms(value * 1000);
  if (row.name === "errors") return format.percent(value);
  return row.name === "cost_per_message" ? format.exact(value) : format.number(value);
}

function mirror(found) {
  if (found === null) return h("p.empty-line", {}, "It is being measured.");
  const rows = found.instances
    .slice(0, SHOWN_INSTANCES)
    .map((one) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, bdi(one.instance)),
        h("td", {}, format.count(one.conversations, "conversation")),
        h("td", {}, bytes(one.bytes)),
      ),
    );
  return [
    h("div.scroll", {}, h("table", {}, h("tbody", {}, rows))),
    h("p.quiet", {}, `${bytes(found.total_bytes)} in all.`),
  ];
}

function bytes(size) {
  let unit = 0;
  while (size >= 1_000 && unit < UNITS.length - 1) [size, unit] = [size / 1_000, unit + 1];
  return `${unit ? format.tenth(size) : format.number(size)} ${UNITS[unit]}`;
}
