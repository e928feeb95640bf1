// The small sign of an upload in every page's bar, and what is said of it to those who cannot see it.

import { recall, remember } from "./storage.js";

const SAID = "crowdsky-said";

export function timeLeft(seconds) {
  if (!Number.isFinite(seconds) || seconds === null) return "";
  if (seconds < 60) return `${Math.max(5, Math.ceil(seconds / 5) * 5)} s left`;
  const minutes = Math.ceil(seconds / 60);
  if (minutes < 60) return `${minutes} min left`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min left`;
}

// {text, more, done (0..1), mood} of a snapshot of the agent, or null when there is nothing to show.
export function chipOf(snapshot) {
  const { state, bytes, sentBytes } = snapshot;
  const done = bytes > 0 ? Math.min(1, sentBytes / bytes) : 0;
  // Rounded down, so that 100 % is said only of an upload that is complete.
  const percent = `${Math.floor(100 * done)} %`;
  const left = timeLeft(snapshot.secondsLeft);
  switch (state) {
    case "scanning":
      return { text: "Reading files", more: "", done, mood: "" };
    case "uploading":
      return { text: percent, more: left && ` · ${left}`, done, mood: "" };
    case "paused":
      return { text: percent, more: " · paused", done, mood: "" };
    case "waiting":
      return { text: percent, more: " · waiting", done, mood: "trouble" };
    case "signed-out":
      return { text: percent, more: " · log in to go on", done, mood: "trouble" };
    case "needs-files":
      return { text: percent, more: " · choose the folder again", done, mood: "trouble" };
    default:
      return null;
  }
}

// What is new enough to be said aloud: each quarter once, and the first error. `said` is {quarter, problems}.
export function newsOf(snapshot, said) {
  const active = ["uploading", "paused", "waiting", "signed-out", "needs-files", "done"].includes(snapshot.state);
  if (!active || !snapshot.bytes) return { words: [], said: { quarter: -1, problems: 0 } };
  const words = [];
  const counts = snapshot.counts ?? {};
  const problems = (counts.refused ?? 0) + (counts.lost ?? 0);
  const quarter =
    snapshot.state === "done" ? 4 : Math.min(3, Math.floor((4 * snapshot.sentBytes) / snapshot.bytes));
  if (quarter > said.quarter) {
    words.push(quarter === 4 ? "Upload complete, 100 percent." : `Upload ${25 * quarter} percent.`);
  }
  if (problems > 0 && said.problems === 0) {
    words.push("A file was not accepted. The list on the upload page says why.");
  }
  return { words, said: { quarter, problems } };
}

export function startChip({ agent, chip, announce }) {
  if (!agent || !chip) return;
  const link = chip.querySelector("a");
  const label = chip.querySelector("span");
  const more = chip.querySelector("small");
  let said = { quarter: -1, problems: 0 };
  try {
    // A quarter that was said on the last page is not said again on this one.
    said = { ...said, ...JSON.parse(recall(SAID, "sessionStorage") ?? "{}") };
  } catch {
    // Then it is said again.
  }

  agent.subscribe((snapshot) => {
    const shown = chipOf(snapshot);
    chip.hidden = !shown;
    if (shown) {
      if (label.textContent !== shown.text) label.textContent = shown.text;
      if (more.textContent !== shown.more) more.textContent = shown.more;
      chip.style.setProperty("--cs-done", shown.done.toFixed(3));
      chip.dataset.mood = shown.mood;
      link.title = snapshot.reason || "To the upload page";
    }
    const news = newsOf(snapshot, said);
    if (news.said.quarter !== said.quarter || news.said.problems !== said.problems) {
      said = news.said;
      remember(SAID, JSON.stringify(said), "sessionStorage");
    }
    if (news.words.length && announce) announce.textContent = news.words.join(" ");
  });
}
