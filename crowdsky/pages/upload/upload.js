// The Upload page. It is drawn from the page's upload agent alone (`site.agent`), which goes on when
// this page is left; the kernel gets a copy of what is shown and is needed for nothing.

const MIRROR_MS = 1000;
const SUMMARY_MS = 1500;
const QUARTERS = [0, 25, 50, 75, 100];

class UploadPage {
  constructor(model, el, site) {
    this.model = model;
    this.site = site;
    this.agent = site.agent;
    this.snapshot = { state: "empty", files: 0, bytes: 0, sentFiles: 0, sentBytes: 0, counts: {} };
    this.first = true;
    this.finalising = false;
    this.it = parts(site);
    this.list = new FileList(this.agent, (total, filter) => this.counted(total, filter));
    const { it } = this;
    el.classList.add("cs-up");
    el.append(h("h1", {}, "Upload"), it.desk, it.receipt, it.drop,
      h("div.cs-up-list-head", {}, h("h2", {}, "Files"), it.counts,
        h("div.cs-up-buttons", {}, it.problems, it.clear)),
      it.reasons, this.list.region, it.said);
    this.listen(el);
    this.leave = this.agent.subscribe((snapshot) => this.show(snapshot));
  }

  end() {
    this.leave();
    this.list.close();
    this.forget();
    clearTimeout(this.summaryTimer);
    clearTimeout(this.mirrorTimer);
  }

  listen(el) {
    const { it, agent } = this;
    const call = (work) => async () => this.attempt(work);
    it.finalise.addEventListener("click", () => this.finalise());
    it.pause.addEventListener("click", call(() => agent.pause()));
    it.resume.addEventListener("click", call(() => agent.resume()));
    it.giveUp.addEventListener("click", call(() => agent.giveUpLost()));
    it.clear.addEventListener("click", call(() => agent.clear()));
    it.problems.addEventListener("click", () => this.toggleProblems());
    it.files.addEventListener("click", () => it.pickFiles.click());
    it.folder.addEventListener("click", () => it.pickFolder.click());
    for (const input of [it.pickFiles, it.pickFolder]) {
      input.addEventListener("change", () => {
        const chosen = [...input.files];
        input.value = ""; // the same folder may be chosen again
        if (chosen.length) this.attempt(() => agent.addFiles(chosen));
      });
    }
    el.addEventListener("cs-failed", (event) => this.fail(event.detail));
    const over = (event) => this.over(event);
    const drop = (event) => this.dropped(event);
    const gone = (event) => event.relatedTarget === null && this.lift(false);
    // Anywhere on the page: a file that misses the zone must not take the browser away from here.
    const heard = [["dragover", over], ["drop", drop], ["dragleave", gone]];
    for (const [name, hear] of heard) window.addEventListener(name, hear);
    this.forget = () => heard.forEach(([name, hear]) => window.removeEventListener(name, hear));
  }

  over(event) {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    this.lift(true);
  }

  lift(over) {
    this.it.drop.classList.toggle("cs-up-over", over);
  }

  dropped(event) {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    this.lift(false);
    // The list of what was dropped is emptied when this event ends, so it is handed over at once.
    const { items } = event.dataTransfer;
    this.attempt(() => this.agent.addDrop(items));
  }

  /** Do what was asked for; a failure is shown until the next thing goes well. */
  async attempt(work) {
    try {
      const told = await work();
      setText(this.it.failure, "");
      return told;
    } catch (error) {
      this.fail(error);
      return null;
    }
  }

  fail(error) {
    setText(this.it.failure, errorInWords(error));
  }

  show(snapshot) {
    const before = this.snapshot;
    this.snapshot = snapshot;
    const { it } = this;
    const percent = percentOf(snapshot);
    const line = headline(snapshot);
    it.bar.style.setProperty("--cs-done", percent / 100);
    setAttribute(it.bar, "aria-valuenow", percent);
    setAttribute(it.bar, "aria-valuetext", `${percent} %. ${line}`);
    setText(it.percent, `${percent} %`);
    setText(it.headline, line);
    it.headline.dataset.state = snapshot.state;
    it.finalise.disabled = !snapshot.finalisable || this.finalising;
    it.login.hidden = snapshot.state !== "signed-out";
    it.pause.disabled = !["scanning", "uploading", "waiting"].includes(snapshot.state);
    it.resume.disabled = snapshot.state !== "paused";
    it.giveUp.hidden = snapshot.state !== "needs-files";
    // Frames that wait for their jobs would be out of sight, and the button with them.
    it.clear.disabled = snapshot.state !== "done" || snapshot.finalisable;
    setText(it.caution, ["waiting", "signed-out"].includes(snapshot.state) ? "" : snapshot.reason || "");
    this.showDrop(snapshot);
    this.showCounts(snapshot);
    this.showReceipt(snapshot.receipt);
    if (this.first || snapshot.listVersion !== before.listVersion || snapshot.state === "uploading") {
      this.list.refresh(this.first);
      this.askSummary(snapshot.state !== before.state);
      if (snapshot.files === 0 && countOf(snapshot, "skipped") !== countOf(before, "skipped")) this.showReasons();
      if (snapshot.files > 0 && before.files === 0) this.showReasons();
    }
    if (snapshot.finalisable !== before.finalisable || this.first) this.askPreview();
    this.announce(before, snapshot);
    this.mirror();
    this.first = this.first && Boolean(snapshot.loading); // what was here already is no news
  }

  showDrop(snapshot) {
    const { it } = this;
    const again = snapshot.state === "needs-files";
    it.drop.classList.toggle("cs-up-again", again);
    setText(it.dropTitle, again ? headline(snapshot) : "Drop files here");
    if (again) {
      setText(it.dropHint, "This browser could not hold on to the rest. Nothing that is safe is sent twice.");
    } else if (!it.dropHint.firstElementChild) {
      it.dropHint.replaceChildren(
        "Frames, folders, the whole MyWorks of your Seestar, .zip or .tar. First time here? Try the ",
        h("a", { href: `${this.site.base}example-night.zip`, download: true }, "example night"), ".");
    }
  }

  showCounts(snapshot) {
    const problems = PROBLEMS.reduce((sum, state) => sum + countOf(snapshot, state), 0);
    setText(this.it.counts, countsInWords(snapshot));
    setText(this.it.problems, problems ? `Problems only (${inWords(problems)})` : "Problems only");
  }

  async toggleProblems() {
    const on = this.list.filter === "all";
    setAttribute(this.it.problems, "aria-pressed", String(on));
    this.list.show(on ? "problems" : "all");
    await this.showReasons();
  }

  /** Each reason once, in full, with how many files it is about: rows have room for two lines. */
  async showReasons() {
    const { reasons } = this.it;
    const wanted = () => this.list.filter === "problems" || this.snapshot.files === 0;
    if (!wanted()) {
      reasons.hidden = true;
      return;
    }
    const told = await this.attempt(() => Promise.all([
      this.agent.rows({ offset: 0, limit: 1000, filter: "problems" }), this.agent.summary()]));
    if (!told || !wanted()) return;
    const lines = reasonsInWords(told[0].rows, told[1].skippedReasons || []);
    reasons.replaceChildren(...lines.map(([count, text]) => h("li", {}, h("strong", {}, count), ` ${text}`)));
    reasons.hidden = lines.length === 0;
  }

  counted(total, filter) {
    if (filter === "all" && total !== this.snapshot.files) this.list.refresh();
  }

  /** Soon, or at once: what was chosen is told before it is sent. */
  askSummary(atOnce = false) {
    if (atOnce) {
      clearTimeout(this.summaryTimer);
      this.summaryTimer = null;
    }
    if (this.summaryTimer) return;
    this.summaryTimer = setTimeout(async () => {
      this.summaryTimer = null;
      try {
        this.showSummary(await this.agent.summary());
      } catch (error) {
        console.warn("no summary of the queue", error);
      }
    }, atOnce || this.first ? 0 : SUMMARY_MS);
  }

  showSummary(summary) {
    const some = summary && (summary.frames || summary.archives || summary.refused || summary.skipped);
    if (!some) {
      setText(this.it.summary, "Headers are read here first: you see what will be stacked before a byte is sent.");
      return;
    }
    const targets = (summary.targets || []).map(({ name, frames }) => [name || "no target", frames]);
    const nights = (summary.nights || []).length;
    const extra = [namesInWords(targets), nights ? many(nights, "night") : "",
      namesInWords((summary.filters || []).map((one) => [one.name || String(one), null]))];
    const text = [summaryInWords(summary, this.snapshot.state === "done"), ...extra].filter(Boolean).join(" · ");
    setText(this.it.summary, text);
    setAttribute(this.it.summary, "title", text);
  }

  async askPreview() {
    const { preview } = this.it;
    if (!this.snapshot.finalisable) {
      preview.hidden = true;
      this.it.summary.hidden = false;
      return;
    }
    try {
      const answer = await this.site.fetchApi("/blocks/preview");
      if (!answer.ok) throw new Error(`the service answered ${answer.status}`);
      const told = await answer.json();
      if (this.snapshot.finalisable) this.showPreview(told);
    } catch (error) {
      console.warn("no preview of the blocks", error); // the jobs can be created all the same
    }
  }

  showPreview(told) {
    this.it.preview.replaceChildren(...previewLines(told));
    setAttribute(this.it.preview.firstChild, "title", previewInWords(told));
    this.it.preview.hidden = false;
    this.it.summary.hidden = true;
  }

  async finalise() {
    if (this.finalising || !this.snapshot.finalisable) return;
    this.finalising = true;
    this.it.finalise.disabled = true;
    setText(this.it.said, "Creating the stacking jobs.");
    const told = await this.attempt(() => this.agent.finalise());
    this.finalising = false;
    this.it.finalise.disabled = !this.snapshot.finalisable;
    if (told) {
      this.showReceipt(this.snapshot.receipt || told.receipt || told);
      this.it.receipt.firstElementChild?.focus();
    }
  }

  showReceipt(receipt) {
    const key = receipt ? JSON.stringify(receipt) : "";
    if (key === this.receiptShown) return;
    this.receiptShown = key;
    this.it.receipt.hidden = !receipt;
    if (!receipt) return;
    const focused = this.it.receipt.contains(document.activeElement);
    this.it.receipt.replaceChildren(...receiptLines(receipt, this.site));
    if (focused) this.it.receipt.firstElementChild.focus();
  }

  /** Read out at each quarter, and the first thing that went wrong; never a second time. */
  announce(before, snapshot) {
    if (this.first) return;
    const refused = (one) => countOf(one, "refused") + countOf(one, "lost");
    if (refused(before) === 0 && refused(snapshot) > 0) this.announceProblem();
    // The page around may do the rest, as it does on every page.
    if (document.getElementById("cs-announce")) return;
    const quarter = (one) => QUARTERS.findLast((step) => percentOf(one) >= step);
    if (before.state === "empty" && snapshot.state !== "empty") {
      setText(this.it.said, `Upload progress 0 %. ${headline(snapshot)}`);
    } else if (quarter(snapshot) > quarter(before) && snapshot.files > 0) {
      const step = quarter(snapshot);
      setText(this.it.said, `Upload progress ${step} %. ${step === 100 ? headline(snapshot) : ""}`.trim());
    } else if (before.state !== snapshot.state
      && ["paused", "waiting", "signed-out", "needs-files"].includes(snapshot.state)) {
      setText(this.it.said, headline(snapshot));
    }
  }

  async announceProblem() {
    const told = await this.agent.rows({ offset: 0, limit: 1, filter: "problems" }).catch(() => null);
    const row = told && told.rows[0];
    if (row) setText(this.it.said, `${row.name}: ${rowInWords(row)[0]}. ${sentences(row.reason, row.remedy)}`);
  }

  /** A copy for the kernel, once a second at most. */
  mirror() {
    if (this.mirrorTimer) return;
    this.mirrorTimer = setTimeout(() => {
      this.mirrorTimer = null;
      try {
        this.model.set("snapshot", JSON.parse(JSON.stringify(this.snapshot)));
        this.model.save_changes();
      } catch (error) {
        console.warn("the page's kernel does not answer", error);
      }
    }, MIRROR_MS);
  }
}

export default page(({ model, el, site, onEnd }) => {
  if (!site || !site.agent || !site.agent.rows) {
    drawWithout(el, site);
    return;
  }
  const shown = new UploadPage(model, el, site);
  onEnd(() => shown.end());
});
