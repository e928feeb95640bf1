// The list of files. Only rows in sight are elements, so that 100,000 files scroll like 20; each is
// asked of the agent by its number. Up to 20 rows grow down the page; more sit in a scrolling box.

const ROWS_OF_THE_BOX = 20;
const ROWS_BESIDE = 6; // drawn above and below what is in sight
const ROW_REM = { wide: 2.75, narrow: 5.75 };
const NARROW_REM = 42;
const REFRESH_MS = 400;

/** The box; `refresh` says that the agent's list may have changed. */
class FileList {
  constructor(agent, onCount) {
    this.agent = agent;
    this.onCount = onCount;
    this.filter = "all";
    this.total = 0;
    this.known = new Map(); // number in the list -> row
    this.drawn = new Map(); // number in the list -> FileRow
    this.spare = [];
    this.current = 0; // the row that Tab reaches, in a long list
    this.asking = false;
    this.again = false;
    this.empty = h("p.cs-up-none");
    this.body = h("div.cs-up-rows", { role: "rowgroup" });
    const heading = ["File", "Target", "Size", "State", "Actions"].map((text) =>
      h("div", { role: "columnheader" }, text));
    this.table = h("div.cs-up-table", { role: "table", "aria-label": "Files to upload" },
      h("div", { role: "rowgroup" }, h("div.cs-up-row.cs-up-heading", { role: "row" }, ...heading)),
      this.body);
    this.region = h("section.cs-up-box", { role: "region", "aria-label": "Files" },
      this.empty, this.table);
    this.region.addEventListener("scroll", () => this.draw(), { passive: true });
    this.body.addEventListener("focusin", (event) => this.focused(event));
    this.sizes = new ResizeObserver(() => this.measure());
    this.sizes.observe(this.region);
    this.rowPx = 44;
    this.measure();
    this.layOut();
  }

  close() {
    this.sizes.disconnect();
    clearTimeout(this.timer);
  }

  measure() {
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize) || 16;
    const width = this.region.clientWidth;
    const narrow = width > 0 && width < NARROW_REM * rem;
    const rowPx = Math.round(rem * (narrow ? ROW_REM.narrow : ROW_REM.wide));
    this.region.classList.toggle("cs-up-narrow", narrow);
    if (rowPx !== this.rowPx) {
      const top = this.region.scrollTop / this.rowPx;
      this.rowPx = rowPx;
      this.layOut();
      this.region.scrollTop = top * rowPx;
    }
    this.region.style.setProperty("--cs-up-row", `${rowPx}px`);
    this.draw();
  }

  show(filter) {
    if (filter === this.filter) return;
    this.filter = filter;
    this.current = 0;
    this.known.clear();
    this.region.scrollTop = 0;
    this.refresh(true);
  }

  /** Ask anew for what is in sight, soon: many changes are one question. */
  refresh(atOnce = false) {
    if (atOnce) {
      clearTimeout(this.timer);
      this.timer = null;
      this.ask();
    } else if (!this.timer) {
      this.timer = setTimeout(() => {
        this.timer = null;
        this.ask();
      }, REFRESH_MS);
    }
  }

  async ask() {
    if (this.asking) {
      this.again = true;
      return;
    }
    this.asking = true;
    try {
      do {
        this.again = false;
        const { filter } = this;
        const [first, last] = this.window();
        this.asked = `${filter} ${first} ${last}`;
        const told = await this.agent.rows({ offset: first, limit: last - first, filter });
        if (filter !== this.filter) {
          this.again = true;
          continue;
        }
        // Only what was asked for just now is sure to be true; a change of length moves the rest.
        if (told.total !== this.total) this.known.clear();
        told.rows.forEach((row, place) => this.known.set(first + place, row));
        if (this.known.size > 2000) this.forget(first, last);
        this.total = told.total;
        this.layOut();
        this.draw();
        this.onCount(this.total, this.filter);
      } while (this.again);
    } catch (error) {
      this.region.dispatchEvent(new CustomEvent("cs-failed", { bubbles: true, detail: error }));
    } finally {
      this.asking = false;
    }
  }

  forget(first, last) {
    for (const place of this.known.keys()) {
      if (place < first || place >= last) this.known.delete(place);
    }
  }

  window() {
    const top = this.scrolls ? this.region.scrollTop : 0;
    const height = this.scrolls ? this.region.clientHeight : ROWS_OF_THE_BOX * this.rowPx;
    const first = Math.max(0, Math.floor(top / this.rowPx) - ROWS_BESIDE);
    const last = Math.ceil((top + height) / this.rowPx) + ROWS_BESIDE;
    return [first, Math.max(last, first + 1)];
  }

  layOut() {
    this.scrolls = this.total > ROWS_OF_THE_BOX;
    this.region.classList.toggle("cs-up-scrolls", this.scrolls);
    setAttribute(this.region, "tabindex", this.scrolls ? 0 : null);
    this.table.hidden = this.total === 0;
    this.empty.hidden = this.total > 0;
    setText(this.empty, this.filter === "all"
      ? "No files yet. Choose the folder MyWorks of your Seestar, or drop it above."
      : "No problems: every file so far is fine.");
    setAttribute(this.table, "aria-rowcount", this.total + 1);
    this.body.style.height = `${this.total * this.rowPx}px`;
  }

  draw() {
    const [first, wanted] = this.window();
    const last = Math.min(wanted, this.total);
    for (const [place, view] of this.drawn) {
      // A row that holds the focus stays, wherever it is; else the keyboard would be thrown out.
      const kept = view.element.contains(document.activeElement) && place < this.total;
      if ((place < first || place >= last) && !kept) {
        this.drawn.delete(place);
        view.element.remove();
        this.spare.push(view);
      }
    }
    let missing = false;
    for (let place = first; place < last; place += 1) {
      const row = this.known.get(place) || null;
      missing ||= !row;
      this.drawAt(place, row);
    }
    this.reach();
    // An agent that told fewer rows than it counts is not asked the same thing for ever.
    if (missing && this.asked !== `${this.filter} ${first} ${wanted}`) this.refresh(true);
  }

  drawAt(place, row) {
    let view = this.drawn.get(place);
    if (!view) {
      view = this.spare.pop() || new FileRow(this.agent, (event, from) => this.onKey(event, from));
      this.drawn.set(place, view);
      // In the order of the list, so that Tab and screen readers meet them so.
      const after = [...this.body.children].find((other) =>
        Number(other.getAttribute("aria-rowindex")) > place + 2);
      this.body.insertBefore(view.element, after || null);
    }
    view.element.style.transform = `translateY(${place * this.rowPx}px)`;
    if (row || !view.row || view.index !== place) view.fill(place, row, this.known.get(place - 1));
  }

  /** In a long list one row has the Tab key, and arrows move it; in a short one every row has. */
  reach() {
    const reached = this.scrolls ? this.inSight() : null;
    for (const [place, view] of this.drawn) {
      const tab = reached === null || place === reached ? null : -1;
      for (const button of [view.act, view.drop]) setAttribute(button, "tabindex", tab);
    }
  }

  inSight() {
    const first = Math.ceil(this.region.scrollTop / this.rowPx);
    const last = Math.floor((this.region.scrollTop + this.region.clientHeight) / this.rowPx) - 2;
    return Math.min(Math.max(this.current, first), Math.max(first, last));
  }

  focused(event) {
    for (const [place, view] of this.drawn) {
      if (view.element.contains(event.target)) this.current = place;
    }
  }

  onKey(event, from) {
    const page = Math.max(1, Math.floor(this.region.clientHeight / this.rowPx) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page,
      Home: -this.total, End: this.total };
    const step = steps[event.key];
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const removes = document.activeElement === from.drop;
    this.moveTo(Math.min(this.total - 1, Math.max(0, from.index + step)), removes);
  }

  moveTo(place, removes) {
    const top = place * this.rowPx;
    const view = this.region.clientHeight - 2 * this.rowPx;
    if (this.scrolls && (top < this.region.scrollTop || top > this.region.scrollTop + view)) {
      this.region.scrollTop = top - view / 2;
    }
    this.current = place;
    this.draw();
    const row = this.drawn.get(place);
    if (!row) return;
    const [one, other] = removes ? [row.drop, row.act] : [row.act, row.drop];
    const target = one.hidden ? other : one;
    if (target.hidden) {
      row.element.tabIndex = -1;
      row.element.focus({ preventScroll: !this.scrolls });
    } else {
      target.focus();
    }
  }
}
