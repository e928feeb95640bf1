// A row of the table: one job. What its states are called, drawn and coloured.

const JOB_STATES = {
  queued: { word: "Waiting", tone: "", draw: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12M8 4.8V8l2.2 1.6" },
  running: { word: "Running", tone: "cs-live", draw: "M5 3.2v9.6L12.6 8z" },
  orphaned: { word: "Worker lost", tone: "cs-warn", draw: "M8 2.2 14.4 13.4H1.6zM8 6.4v3.2M8 11.4v.2" },
  done: { word: "Done", tone: "cs-good", draw: "M3 8.6l3.2 3.2L13 4.6" },
  failed: { word: "Failed", tone: "cs-bad", draw: "M4 4l8 8M12 4l-8 8" },
};
const TRASH = "M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5l.6 8.5h5.8l.6-8.5M6.8 7v3.6M9.2 7v3.6";
const AGAIN = "M13 8a5 5 0 1 1-1.6-3.7M13 2.6V5h-2.4";
const CHEVRON = "M6 4l4 4-4 4";

const JOB_COLUMNS = [
  { key: "pick", title: "Select", hidden: true }, { key: "target", title: "Target" }, { key: "block", title: "Block (UTC)" },
  { key: "frames", title: "Frames" }, { key: "state", title: "State" }, { key: "progress", title: "Progress" },
  { key: "started", title: "Started (UTC)" }, { key: "took", title: "Duration" }, { key: "by", title: "Run by" },
  { key: "act", title: "Actions", hidden: true }, { key: "more", title: "Details", hidden: true },
];

function stateOf(job) {
  return job.state === "running" && job.orphaned ? "orphaned" : job.state;
}

/** What a job is called where its row cannot be seen. */
function jobInWords(job) {
  const block = job.from ? `, ${dateUtc(new Date(job.from))} ${clockUtc(new Date(job.from))}–${clockUtc(new Date(job.to))} UTC` : "";
  return `Job ${job.id}: ${job.target || "no target"}${block}`;
}

function cell(key, label, ...children) {
  return h(`td.cs-col-${key}`, { role: "cell", dataset: label ? { label } : {} }, ...children);
}

/** `page` has now() in ms, isOperator(), and details(job, cell). */
function jobRow(job, page) {
  let [current, filled, parts] = [job, false, null];
  const target = h("span.st-target", {}, job.target || "No target");
  const name = h("span.st-name", {}, target, h("span.st-number", {}, ` job ${job.id}`));
  const title = h("th.cs-col-target", { role: "rowheader", scope: "row" }, name);
  const retry = h("button.cs-button.cs-small", { type: "button", hidden: true });
  const remove = h("button.cs-button.cs-small", { type: "button", "aria-label": `Delete job ${job.id}`, dataset: { act: "delete" } },
    h("span", {}, "Delete"));
  const actions = cell("act", "", remove);
  const element = h("tr.st-job", { role: "row", dataset: { job: job.id, state: stateOf(job) } }, title, actions);

  function fill() {
    filled = true;
    const opener = h("button.st-open", { type: "button", "aria-expanded": "false", "aria-label": `Details of job ${job.id}` }, icon(CHEVRON));
    title.prepend(opener);
    retry.append(icon(AGAIN), h("span", {}, "Retry"));
    setAttribute(retry, "aria-label", `Retry job ${job.id}`);
    retry.dataset.act = "retry";
    actions.prepend(retry);
    remove.prepend(icon(TRASH));
    const pick = h("input", { type: "checkbox", "aria-label": `Select job ${job.id}`, dataset: { act: "pick" } });
    const chip = h("span.cs-chip");
    const note = h("span.st-note");
    const bar = h("div.cs-bar", { role: "progressbar", "aria-label": `Progress of job ${job.id}`, "aria-valuemin": 0, "aria-valuemax": 100 });
    const step = h("span.st-step");
    parts = { pick, chip, note, bar, step, drawn: "", since: null,
      block: cell("block", "Block"), frames: cell("frames", "Frames"), state: cell("state", "State", chip, note),
      progress: cell("progress", "Progress", bar, step), started: cell("started", "Started"), took: cell("took", "Duration"),
      by: cell("by", "Run by"), more: cell("more", "") };
    element.prepend(cell("pick", "", pick));
    actions.before(parts.block, parts.frames, parts.state, parts.progress, parts.started, parts.took, parts.by);
    actions.after(parts.more);
    parts.details = page.details(current, parts.more, opener);
    update(current);
  }

  function update(next) {
    current = next;
    const state = stateOf(next);
    element.dataset.state = state;
    setText(target, next.target || "No target");
    if (!filled) return;
    retry.hidden = next.state !== "failed";
    if (next.from && !parts.block.hasChildNodes()) {
      parts.block.append(spanElement(next.from, next.to));
      if (next.filter) parts.block.append(h("span.st-setup", {}, [next.filter, next.exposure_s ? `${next.exposure_s} s` : ""].filter(Boolean).join(" · ")));
    }
    showFrames(parts.frames, next);
    showState(parts, next, state);
    showProgress(parts, next);
    if (parts.since !== (next.started || "")) {
      parts.since = next.started || "";
      parts.started.replaceChildren(next.started ? timeElement(next.started) : h("span.cs-dim", {}, "not yet"));
    }
    tick();
    showWorker(parts, next, page.isOperator());
    parts.details.update(next);
  }

  /** The duration; called every second while the job runs. */
  function tick() {
    if (!parts) return;
    const end = current.finished && current.state !== "running" ? Date.parse(current.finished) : page.now();
    const counts = current.started && (current.state !== "queued");
    setText(parts.took, counts ? duration((end - Date.parse(current.started)) / 1000) : "–");
  }

  /** Something was asked for and is under way. */
  function busy(words) {
    for (const button of [retry, remove]) setAttribute(button, "aria-disabled", words ? "true" : null);
    setText(remove.lastChild, words === "delete" ? "Deleting…" : "Delete");
    if (filled) setText(retry.lastChild, words === "retry" ? "Asking…" : "Retry");
  }

  return {
    element, fill, update, tick, busy, remove,
    picked(yes) { if (parts) parts.pick.checked = yes; },
    get details() { return parts?.details; },
  };
}

function showFrames(box, job) {
  const known = job.used !== undefined;
  const text = known ? `${job.used} / ${job.rejected}` : inWords(job.n || 0);
  if (box.dataset.text === text) return;
  box.dataset.text = text;
  const word = (number, name) => h("span.cs-nowrap", {}, h("b", {}, inWords(number)), ` ${name}`);
  box.replaceChildren(...(known ? [word(job.used, "used"), h("span.cs-visually-hidden", {}, ", "), word(job.rejected, "rejected")]
    : [word(job.n || 0, job.n === 1 ? "frame" : "frames")]));
}

function showState(parts, job, state) {
  const { word, tone, draw } = JOB_STATES[state] || { word: state, tone: "", draw: CHEVRON };
  if (parts.drawn !== state) {
    parts.drawn = state;
    parts.chip.className = `cs-chip ${tone}`;
    parts.chip.replaceChildren(icon(draw), h("span", {}, word));
  }
  let note = "";
  if (state === "orphaned") note = "its worker was lost; it runs again by itself";
  else if (state === "queued" && job.attempts && job.reason) note = `try ${job.attempts} ended: ${job.reason}; it is tried again by itself`;
  else if (state === "running" && job.attempts > 1) note = `try ${job.attempts}`;
  setText(parts.note, note);
}

function showProgress(parts, job) {
  const share = job.state === "done" ? 1 : Math.min(1, (job.done || 0) / Math.max(1, job.n || 1));
  const live = job.state === "running";
  parts.bar.style.setProperty("--cs-done", String(share));
  setAttribute(parts.bar, "aria-valuenow", Math.round(100 * share));
  parts.bar.hidden = job.state === "failed";
  const words = { queued: "in the queue", done: "finished", failed: "stopped" }[job.state]
    || `${job.step || "starting"}, ${inWords(job.done || 0)} of ${inWords(job.n || 0)}`;
  setText(parts.step, words);
  setAttribute(parts.bar, "aria-valuetext", words);
  parts.bar.classList.toggle("st-moving", live && !job.orphaned);
}

function showWorker(parts, job, isOperator) {
  const linked = isOperator && /^https?:\/\//.test(job.run_url || "") ? job.run_url : "";
  const key = `${job.worker || ""} ${linked}`;
  if (parts.by.dataset.key === key) return;
  parts.by.dataset.key = key;
  const name = job.worker || "nobody yet";
  parts.by.replaceChildren(linked ? h("a", { href: linked, rel: "noreferrer" }, name) : h(job.worker ? "span" : "span.cs-dim", {}, name));
}
