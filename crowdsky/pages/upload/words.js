// What the page says of the queue. crowdsky/pages/upload/state.py says the same in a kernel, and a
// test holds the two together.

const PROBLEMS = ["refused", "lost"];
const NO_ANSWER = "The server does not answer; it goes on by itself.";
const NAMES = {
  queued: "waiting", hashing: "being read", uploading: "under way", received: "being checked",
  accepted: "accepted", duplicate: "already here", refused: "refused", skipped: "left out",
  lost: "to be chosen again",
};

/** How many files are in a state. */
function countOf(snapshot, state) {
  return (snapshot.counts && snapshot.counts[state]) || 0;
}

/** Percent of the upload, whole and rounded down: 100 is said when all is done and not before. */
function percentOf(snapshot) {
  if (snapshot.state === "done") return 100;
  const share = snapshot.bytes > 0 ? snapshot.sentBytes / snapshot.bytes : 0;
  return Math.max(0, Math.min(99, Math.floor(100 * share)));
}

/** Counts that are not zero: "4,105 accepted, 312 already here, 3 refused". */
function countsInWords(snapshot) {
  return Object.keys(NAMES)
    .filter((state) => countOf(snapshot, state) > 0)
    .map((state) => `${inWords(countOf(snapshot, state))} ${NAMES[state]}`)
    .join(", ");
}

/** One line on where the upload stands. */
function headline(snapshot) {
  const files = many(snapshot.files, "file");
  const so = `${inWords(snapshot.sentFiles)} of ${files}`;
  switch (snapshot.state) {
    case "scanning":
      return `Reading what you chose: ${files} so far.`;
    case "uploading": {
      const parts = [so, `${bytesInWords(snapshot.sentBytes)} of ${bytesInWords(snapshot.bytes)}`];
      if (snapshot.rateBytesPerS > 0) parts.push(`${bytesInWords(snapshot.rateBytesPerS)}/s`);
      if (snapshot.secondsLeft > 0) parts.push(`${secondsInWords(snapshot.secondsLeft)} left`);
      return `${parts.join(", ")}.`;
    }
    case "paused":
      return `Paused after ${so}. Nothing is lost.`;
    case "waiting":
      return `Waiting after ${so}. ${sentences(snapshot.reason || NO_ANSWER)}`;
    case "signed-out":
      return `You are signed out. Log in, and the upload goes on after ${so}.`;
    case "needs-files": {
      const { safe = snapshot.sentFiles, total = snapshot.files } = snapshot.question || {};
      return `Choose the folder again: ${inWords(safe)} of ${inWords(total)} are safe.`;
    }
    case "done":
      return ended(snapshot, files);
    default: {
      if (snapshot.loading) return "Looking for what was being uploaded.";
      const left = countOf(snapshot, "skipped");
      return left ? `Nothing to upload: ${many(left, "file")} left out.` : "Nothing to upload yet.";
    }
  }
}

function ended(snapshot, files) {
  const told = countsInWords(snapshot);
  const all = `${files} done${told ? `: ${told}` : ""}.`;
  if (snapshot.finalisable) return `${all} Now create the stacking jobs.`;
  if (snapshot.receipt) return `${all} The stacking jobs are created.`;
  return `${all} There is nothing to stack: the list says why.`;
}

/** What the headers tell before a byte is sent; the same when all is over. */
function summaryInWords(summary, isOver = false) {
  // What is in an archive is known once it is unpacked, which the service does.
  const some = (number, one) => (number || !summary.archives ? [many(number, one)] : []);
  const parts = some(summary.frames, "frame");
  if (summary.archives) parts.push(many(summary.archives, "archive"));
  parts.push(bytesInWords(summary.bytes), ...some(summary.blocks, "block"));
  if (summary.here) parts.push(`${inWords(summary.here)} already here`);
  if (summary.refused) parts.push(`${inWords(summary.refused)} ${isOver ? "" : "will be "}refused`);
  if (summary.skipped) parts.push(`${inWords(summary.skipped)} left out`);
  return parts.join(", ");
}

/** Names with their counts, the first few: "M 31 (2,210), M 33 (1,102) and 4 more". */
function namesInWords(pairs, most = 4) {
  const shown = pairs.slice(0, most).map(([name, count]) =>
    count === null ? name : `${name} (${inWords(count)})`);
  const more = pairs.length - shown.length;
  return shown.join(", ") + (more > 0 ? ` and ${inWords(more)} more` : "");
}

/** The blocks that would be made, and each target's frames: "61 blocks of 4,420 frames: M 31 (2,900), M 33 (1,520)". */
function previewInWords(preview) {
  const byTarget = new Map();
  for (const block of preview.blocks) {
    const target = block.target || "no target";
    byTarget.set(target, (byTarget.get(target) || 0) + block.n_frames);
  }
  const pairs = [...byTarget].sort((one, other) => other[1] - one[1]);
  const names = namesInWords(pairs);
  return `${many(preview.n_blocks, "block")} of ${many(preview.n_frames, "frame")}${names ? `: ${names}` : ""}`;
}

/** "2025-08-12T22:15:34Z" -> "2025-08-12 22:15". */
function timeInWords(text) {
  return text ? String(text).slice(0, 16).replace("T", " ") : "";
}

/** What a row says of its file: a word, and whether it is a problem, good, or under way. */
function rowInWords(row) {
  if (row.paused && ["queued", "hashing", "uploading"].includes(row.state)) return ["Paused", "idle"];
  switch (row.state) {
    case "hashing": return ["Being read", "busy"];
    case "uploading": {
      const percent = row.bytes > 0 ? Math.floor((100 * row.sentBytes) / row.bytes) : 0;
      return [`Uploading ${Math.min(percent, 99)} %`, "busy"];
    }
    case "received": return ["Being checked", "busy"];
    case "accepted": return ["Accepted", "good"];
    case "duplicate": return ["Already here", "good"];
    case "refused": return ["Refused", "bad"];
    case "skipped": return ["Left out", "warn"];
    case "lost": return ["Choose it again", "warn"];
    default: return ["Waiting", "idle"];
  }
}

/** Reasons with how many files each is about, the most frequent first: [["3 files", "It is empty."], ...]. */
function reasonsInWords(rows, skipped) {
  const counts = new Map();
  const count = (text, files) => counts.set(text, (counts.get(text) || 0) + files);
  for (const row of rows) count(sentences(row.reason, row.remedy) || "No reason was told.", 1);
  for (const { reason, files } of skipped) count(sentences(`left out: ${reason}`), files);
  return [...counts].sort((one, other) => other[1] - one[1]).slice(0, 20)
    .map(([text, files]) => [many(files, "file"), text]);
}

/** Sentences of what may have no capital and no full stop. */
function sentences(...parts) {
  return parts.filter(Boolean).map((part) => {
    const text = part[0].toUpperCase() + part.slice(1);
    return /[.!?]$/.test(text) ? text : `${text}.`;
  }).join(" ");
}
