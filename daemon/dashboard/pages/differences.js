// What changed from one text to another, line by line.

import { bdi, h } from "./dom.js";

const MOST_CELLS = 40_000; // of the table that is compared; beyond it all of the middle counts as changed

/** The changed lines, each as <del> or <ins>, with one line around them. */
export function textDifference(before, after) {
  return h(
    "div.difference",
    {},
    changedLines(linesOf(before), linesOf(after)).map(shownLine),
  );
}

function shownLine([sign, line]) {
  const text = bdi(line || " ");
  if (sign === " ") return h("p.same", {}, text);
  const [tag, words] = sign === "-" ? ["del", "removed: "] : ["ins", "added: "];
  return h(tag, {}, h("span.visually-hidden", {}, words), text);
}

const linesOf = (text) => (text ? text.split("\n") : []);

/** [["-", line], ["+", line], [" ", line]]: of what both share at the start and the end, only one line. Pure. */
export function changedLines(old, now) {
  let start = 0;
  while (start < old.length && start < now.length && old[start] === now[start]) start += 1;
  let end = 0;
  while (end < old.length - start && end < now.length - start && old.at(-1 - end) === now.at(-1 - end)) end += 1;
  const middle = compared(old.slice(start, old.length - end), now.slice(start, now.length - end));
  const before = start ? [[" ", old[start - 1]]] : [];
  const after = end ? [[" ", old[old.length - end]]] : [];
  return [...before, ...middle, ...after];
}

function compared(old, now) {
  if (old.length * now.length > MOST_CELLS)
    return [...old.map((line) => ["-", line]), ...now.map((line) => ["+", line])];
  // The longest common subsequence, counted from the end.
  const common = Array.from({ length: old.length + 1 }, () => new Uint16Array(now.length + 1));
  for (let i = old.length - 1; i >= 0; i -= 1)
    for (let j = now.length - 1; j >= 0; j -= 1)
      common[i][j] = old[i] === now[j] ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
  const found = [];
  let [i, j] = [0, 0];
  while (i < old.length || j < now.length) {
    if (i < old.length && j < now.length && old[i] === now[j]) {
      found.push([" ", old[i]]);
      i += 1;
      j += 1;
    } else if (j >= now.length || (i < old.length && common[i + 1][j] >= common[i][j + 1])) found.push(["-", old[i++]]);
    else found.push(["+", now[j++]]);
  }
  return found;
}
