// One file of the list.

const ICONS = {
  idle: "M8 4.5V8l2.2 1.6M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8Z",
  busy: "M8 13.5v-11M3.5 7 8 2.5 12.5 7",
  good: "M2.8 8.6 6.2 12l7-8",
  warn: "M8 2 14.5 13.5h-13ZM8 6.5v3M8 11.6v.1",
  bad: "M5.5 5.5l5 5m0-5-5 5M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8Z",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  resume: "M5 3.2v9.6L12.6 8Z",
  remove: "M4 4l8 8m0-8-8 8",
};

/** One row, made once and filled anew as it scrolls or its file moves on. */
class FileRow {
  constructor(agent, onKey) {
    this.row = null;
    this.index = -1;
    this.name = h("div.cs-up-name");
    this.folder = h("div.cs-up-sub");
    this.target = h("div.cs-up-main");
    this.when = h("div.cs-up-sub");
    this.size = h("div.cs-up-size.cs-number", { role: "cell" });
    this.word = h("span");
    this.mark = h("span.cs-up-mark", { "aria-hidden": "true" });
    this.why = h("span.cs-up-why");
    this.gauge = h("div.cs-up-gauge-small", { "aria-hidden": "true" });
    this.act = h("button.cs-up-act", { type: "button" });
    this.drop = h("button.cs-up-act", { type: "button" }, icon(ICONS.remove));
    const refused = (error) => this.element.dispatchEvent(
      new CustomEvent("cs-failed", { bubbles: true, detail: error }));
    const call = (work) => Promise.resolve().then(work).catch(refused);
    this.act.addEventListener("click", () => call(() => agent[this.action](this.row.id)));
    this.drop.addEventListener("click", () => call(() => agent.remove(this.row.id)));
    this.element = h("div.cs-up-row", { role: "row", onkeydown: (event) => onKey(event, this) },
      h("div.cs-up-file", { role: "cell" }, this.name, this.folder),
      h("div.cs-up-target", { role: "cell" }, this.target, this.when),
      this.size,
      h("div.cs-up-state", { role: "cell" },
        h("span.cs-up-word", {}, this.mark, this.word), this.why, this.gauge),
      h("div.cs-up-acts", { role: "cell" }, this.act, this.drop));
  }

  /** Show a file at a place of the list; null while it is not known yet. */
  fill(index, row, before) {
    this.index = index;
    this.row = row;
    setAttribute(this.element, "aria-rowindex", index + 2); // the heading is the first
    const [word, tone] = row ? rowInWords(row) : ["", "idle"];
    this.element.dataset.tone = row ? tone : "unknown";
    setText(this.name, row ? row.name : "…");
    setAttribute(this.name, "title", row ? row.path || row.name : null);
    setText(this.folder, row ? folderOf(row) : "");
    setText(this.target, (row && row.target) || "");
    setText(this.when, row ? detailOf(row) : "");
    setText(this.size, row ? bytesInWords(row.bytes) : "");
    setText(this.word, word);
    if (this.mark.dataset.tone !== tone) {
      this.mark.dataset.tone = tone;
      this.mark.replaceChildren(icon(ICONS[tone]));
    }
    // A file that waits has no room for why; an archive that was taken may tell of frames it lacks.
    const telling = row && !["queued", "hashing", "uploading", "received"].includes(row.state);
    const why = telling ? sentences(row.reason, row.remedy) : "";
    setText(this.why, why);
    setAttribute(this.why, "title", why || null);
    this.element.classList.toggle("cs-up-problem", Boolean(why));
    this.element.classList.toggle("cs-up-new-block",
      Boolean(row && before && row.block && before.block !== row.block));
    const moving = row && row.state === "uploading";
    this.gauge.hidden = !moving;
    if (moving) this.gauge.style.setProperty("--cs-done", row.bytes > 0 ? row.sentBytes / row.bytes : 0);
    this.fillButtons(row);
  }

  fillButtons(row) {
    const action = row ? actionOf(row) : null;
    if (action !== this.action) {
      this.action = action;
      if (action) this.act.replaceChildren(icon(ICONS[action.replace("File", "")]));
    }
    const removable = Boolean(row) && !["received", "accepted", "duplicate"].includes(row.state);
    if (!action && document.activeElement === this.act && removable) this.drop.focus();
    this.act.hidden = !action;
    this.drop.hidden = !removable;
    if (action) {
      const verb = { pauseFile: "Pause", resumeFile: "Resume" }[action];
      setAttribute(this.act, "aria-label", `${verb} file ${row.name}`);
      setAttribute(this.act, "title", verb);
    }
    if (removable) {
      setAttribute(this.drop, "aria-label", `Remove file ${row.name}`);
      setAttribute(this.drop, "title", "Remove");
    }
  }
}

function actionOf(row) {
  if (!["queued", "hashing", "uploading"].includes(row.state)) return null;
  return row.paused ? "resumeFile" : "pauseFile";
}

function folderOf(row) {
  const path = row.path || "";
  return path.endsWith(`/${row.name}`) ? path.slice(0, -row.name.length - 1) : "";
}

function detailOf(row) {
  const exposure = row.exposureS ? `${row.exposureS} s` : "";
  return [timeInWords(row.dateObs), exposure, row.filter].filter(Boolean).join(" · ");
}
