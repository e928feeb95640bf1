// Times and lengths of time in words. Times are UTC; their title tells them in the visitor's own zone.

const twoDigits = (number) => String(number).padStart(2, "0");

/** "20:15" or, with seconds, "20:15:04", in UTC. */
function clockUtc(date, seconds = false) {
  const text = `${twoDigits(date.getUTCHours())}:${twoDigits(date.getUTCMinutes())}`;
  return seconds ? `${text}:${twoDigits(date.getUTCSeconds())}` : text;
}

/** "2026-03-27", in UTC. */
function dateUtc(date) {
  return `${date.getUTCFullYear()}-${twoDigits(date.getUTCMonth() + 1)}-${twoDigits(date.getUTCDate())}`;
}

function localTitle(date) {
  return `${date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" })} where you are`;
}

/** A time as an element: date and clock, UTC. */
function timeElement(text, seconds = false) {
  const date = new Date(text);
  return h("time", { datetime: text, title: localTitle(date) }, `${dateUtc(date)} ${clockUtc(date, seconds)}`);
}

/** From one time to another, as an element: "2026-03-27 20:15–20:30". */
function spanElement(from, to) {
  const [begin, end] = [new Date(from), new Date(to)];
  return h("time", { datetime: from, title: localTitle(begin) },
    h("span.cs-nowrap", {}, dateUtc(begin)), " ", h("span.cs-nowrap", {}, `${clockUtc(begin)}–${clockUtc(end)}`));
}

/** How long something took: "48 s", "12 min 05 s", "3 h 20 min". */
function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${twoDigits(whole % 60)} s`;
  if (whole < 172800) return `${Math.floor(whole / 3600)} h ${twoDigits(Math.floor((whole % 3600) / 60))} min`;
  return `${Math.floor(whole / 86400)} days`;
}
