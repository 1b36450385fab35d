// Numbers and times, as the language of the page writes them: never as the browser's own language would, which would
// mix its digits and its order of a date into an English sentence.

/** The language of the page, and so of its digits and dates. */
const LANGUAGE = `${document.documentElement.lang}-u-hc-h23`; // 14:05, not 2:05 PM

const whole = new Intl.NumberFormat(LANGUAGE, { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat(LANGUAGE, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const short = new Intl.NumberFormat(LANGUAGE, { maximumFractionDigits: 1 });
const precise = new Intl.NumberFormat(LANGUAGE, { maximumSignificantDigits: 4 });
const timeOfDay = new Intl.DateTimeFormat(LANGUAGE, { timeStyle: "medium" });
const shortTime = new Intl.DateTimeFormat(LANGUAGE, { timeStyle: "short" });
const dayAndTime = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "medium", timeStyle: "medium" });
const share = new Intl.NumberFormat(LANGUAGE, { style: "percent", maximumFractionDigits: 1 });

export const number = (value) => whole.format(value);
export const tenth = (value) => tenths.format(value);
/** At most 999, and `999+` beyond: for a badge. */
export const atMost999 = (value) => (value > 999 ? `${whole.format(999)}+` : whole.format(value));
export const exact = (value) => precise.format(value);
export const percent = (value) => share.format(value);

/** `1 message`, `3 messages`, `9,940 messages`. */
export function count(amount, one, many = `${one}s`) {
  return `${whole.format(amount)} ${amount === 1 ? one : many}`;
}

/** `812 B`, `1.4 MB`. */
export function bytes(amount) {
  const units = ["B", "kB", "MB", "GB"];
  let [value, place] = [amount ?? 0, 0];
  while (value >= 999.5 && place < units.length - 1) [value, place] = [value / 1_000, place + 1];
  return `${(place ? tenths : whole).format(value)} ${units[place]}`;
}

/** A rate per second. */
export function rate(value) {
  return value >= 100 ? whole.format(value) : tenths.format(value);
}

/** `0.1 ms`, `31 ms`, `2.4 s`. */
export function ms(value) {
  if (value >= 9_950) return `${whole.format(value / 1000)} s`;
  if (value >= 999.5) return `${tenths.format(value / 1000)} s`;
  return value < 9.95 ? `${tenths.format(value)} ms` : `${whole.format(value)} ms`;
}

/** Time left, as it counts down: `4.2 s`, `1 min 12 s`. */
export function left(seconds) {
  return seconds < 60 ? `${tenths.format(Math.max(0, seconds))} s` : duration(seconds);
}

/** A configured time: `8 s`, `0.6 s`. */
export const setting = (seconds) => `${short.format(seconds)} s`;

/** `12 s`, `3 min 12 s`, `5 h 2 min`, `2 d 4 h`. */
export function duration(seconds) {
  const all = Math.max(0, Math.floor(seconds));
  if (all < 60) return `${whole.format(all)} s`;
  if (all < 3_600) return `${whole.format(Math.floor(all / 60))} min ${whole.format(all % 60)} s`;
  if (all < 86_400)
    return `${whole.format(Math.floor(all / 3_600))} h ${whole.format(Math.floor((all % 3_600) / 60))} min`;
  return `${whole.format(Math.floor(all / 86_400))} d ${whole.format(Math.floor((all % 86_400) / 3_600))} h`;
}

/** `10:02:31` today, with the date on other days; empty for no time. */
export function moment(iso) {
  if (!iso) return "";
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return "";
  const today = at.toDateString() === new Date().toDateString();
  return (today ? timeOfDay : dayAndTime).format(at);
}

/** `10:02`, for a chat. */
export const clock = (atMs) => shortTime.format(new Date(atMs));

/** `12 s ago`. */
export function ago(iso) {
  return `${duration((Date.now() - new Date(iso).getTime()) / 1000)} ago`;
}
