// Below a row: why a job failed with the log's last lines, and, when it is opened, each frame's fate and the picture.

const LAST_LINES = 4;
const FATES = { stacked: ["used", "cs-good"], rejected: ["rejected", "cs-bad"], pending: ["waiting", ""] };

/** `ask(type, id)` sends for what is missing. */
function jobDetails(job, box, opener, ask) {
  let [current, open, frames, log, drawn, wantsLog] = [job, false, null, null, "", false];
  const trouble = h("div.st-trouble", { hidden: true });
  const inside = h("div.st-inside", { hidden: true, id: `st-inside-${job.id}`, role: "group", "aria-label": `Frames of job ${job.id}` });
  box.append(trouble, inside);
  box.hidden = true;
  opener.setAttribute("aria-controls", inside.id);
  opener.addEventListener("click", () => toggle(!open));

  function toggle(yes) {
    open = yes;
    opener.setAttribute("aria-expanded", String(yes));
    inside.hidden = !yes;
    if (yes) {
      drawn = "";
      ask("open", current.id);
      if (log === null) askForLog();
    }
    draw();
  }

  function askForLog() {
    wantsLog = true;
    ask("log", current.id);
  }

  function draw() {
    const failed = current.state === "failed";
    trouble.hidden = !failed;
    box.hidden = !failed && !open;
    if (failed) drawTrouble();
    if (open) drawInside();
  }

  function drawTrouble() {
    const lines = (log || "").trimEnd().split("\n").filter(Boolean).slice(-LAST_LINES);
    const key = `${current.reason} ${lines.join("\n")}`;
    if (trouble.dataset.key === key) return;
    trouble.dataset.key = key;
    trouble.replaceChildren(h("p", {}, h("b", {}, "Why: "), current.reason || "no reason was told"));
    if (lines.length) trouble.append(h("pre.st-log", { tabindex: 0, role: "group", "aria-label": `Last lines of the log of job ${current.id}` }, lines.join("\n")));
  }

  function drawInside() {
    const key = JSON.stringify([current.state, current.stack, frames && frames.length, log && log.length, frames && frames.map((one) => one.state)]);
    if (drawn === key) return;
    drawn = key;
    inside.replaceChildren(...[picture(current), ledger(current, frames), wholeLog(current, log)].filter(Boolean));
  }

  return {
    update(next) {
      const changed = next.state !== current.state || next.attempts !== current.attempts;
      current = next;
      if (changed && open) ask("open", next.id);
      if (changed && log !== null) askForLog();
      if (next.state === "failed" && !wantsLog) askForLog();
      draw();
    },
    frames(lines) { frames = lines; draw(); },
    log(text) { log = text; drawn = ""; draw(); },
    toggle,
  };
}

function picture(job) {
  if (!job.stack) return null;
  const image = stackPicture(job.stack, "preview", `The stack of ${job.target || "this block"}`,
    () => h("p.cs-dim", {}, "The preview cannot be shown just now."));
  return h("figure.st-picture", {}, image, h("figcaption", {},
    h("a", { href: stackUrl(job.stack, "file"), download: "" }, "Stack (FITS)"),
    h("a", { href: stackUrl(job.stack, "preview"), target: "_blank", rel: "noopener" }, "Preview")));
}

function ledger(job, frames) {
  const head = h("h3", {}, "Frames");
  if (!frames) return h("div.st-ledger", {}, head, h("p.cs-dim", {}, "Reading the ledger…"));
  const counts = { stacked: 0, rejected: 0, pending: 0 };
  for (const frame of frames) counts[frame.state] = (counts[frame.state] || 0) + 1;
  const sum = Object.entries(FATES).map(([key, [word]]) => `${inWords(counts[key])} ${word}`).join(", ");
  const list = h("ul.st-frames", {}, ...frames.map((frame) => {
    const [word, tone] = FATES[frame.state] || [frame.state, ""];
    const draw = { stacked: JOB_STATES.done.draw, rejected: JOB_STATES.failed.draw }[frame.state] || JOB_STATES.queued.draw;
    return h("li", {}, h("span.st-file", {}, frame.name),
      h(`span.st-fate.${tone || "st-plain"}`, {}, icon(draw), word),
      h("span.st-why", {}, [frame.reason, frame.note].filter(Boolean).join("; ")));
  }));
  const scroll = h("div.st-scroll", { tabindex: 0, role: "region", "aria-label": `Ledger of job ${job.id}` }, list);
  return h("div.st-ledger", {}, head, h("p.cs-dim", {}, `${many(frames.length, "frame")}: ${sum}.`), frames.length ? scroll : null);
}

function wholeLog(job, log) {
  if (!log) return null;
  return h("details.st-whole", {}, h("summary", {}, "Log"),
    h("pre.st-log", { tabindex: 0, role: "group", "aria-label": `Log of job ${job.id}` }, log));
}
