// A table of ten thousand rows: every row is there, to be counted, found and read out, but only those that come
// near the window get all of their cells. Rows are laid out by CSS grid so that they can be cards on a phone, and
// since that takes a table's roles away in some browsers, each role is said.

const FILLED_AT_ONCE = 200;

/**
 * rowOf(item) gives { element, fill(), update(item) }; fill() is called once. Items have an `id`, a number;
 * `before(a, b)` says whether a stands above b.
 */
class LongTable {
  constructor({ labelledBy, columns, rowOf, before }) {
    this.rowOf = rowOf;
    this.before = before;
    this.rows = new Map(); // by id: { row, item, filled }
    this.order = []; // ids from top to bottom
    this.shows = () => true;
    this.body = h("tbody", { role: "rowgroup" });
    const heads = columns.map(({ key, title, hidden }) => h(`th.cs-col-${key}`, { role: "columnheader", scope: "col" },
      hidden ? h("span.cs-visually-hidden", {}, title) : title));
    this.head = h("tr", { role: "row" }, ...heads);
    this.element = h("table.cs-long", { role: "table", "aria-labelledby": labelledBy },
      h("thead", { role: "rowgroup" }, this.head), this.body);
    this.observer = "IntersectionObserver" in window
      ? new IntersectionObserver((entries) => this.seen(entries), { rootMargin: "900px 0px" }) : null;
    this.byElement = new WeakMap();
  }

  get size() { return this.order.length; }

  get shown() { return this.order.filter((id) => !this.rows.get(id).row.element.hidden); }

  item(id) { return this.rows.get(id)?.item; }

  row(id) { return this.rows.get(id)?.row; }

  /** Add items, or change those that are there. */
  put(items) {
    for (const item of items) {
      const known = this.rows.get(item.id);
      if (known) {
        known.item = item;
        known.row.update(item);
        known.row.element.hidden = !this.shows(item);
      } else {
        this.add(item);
      }
    }
    // The first are whole at once, and in a short table all.
    for (const id of this.observer ? this.order.slice(0, FILLED_AT_ONCE) : this.order) this.fill(id);
    this.counted();
  }

  remove(id) {
    const known = this.rows.get(id);
    if (!known) return;
    this.observer?.unobserve(known.row.element);
    known.row.element.remove();
    this.rows.delete(id);
    this.order.splice(this.place(known.item), 1);
    this.counted();
  }

  clear() {
    this.observer?.disconnect();
    this.rows.clear();
    this.order = [];
    this.body.replaceChildren();
    this.counted();
  }

  /** Show only some; returns how many. */
  filter(shows) {
    this.shows = shows;
    let n = 0;
    for (const { row, item } of this.rows.values()) {
      row.element.hidden = !shows(item);
      n += row.element.hidden ? 0 : 1;
    }
    this.counted();
    return n;
  }

  close() { this.observer?.disconnect(); }

  add(item) {
    const row = this.rowOf(item);
    const at = this.place(item);
    const next = this.rows.get(this.order[at]);
    this.order.splice(at, 0, item.id);
    this.rows.set(item.id, { row, item, filled: false });
    row.element.hidden = !this.shows(item);
    this.byElement.set(row.element, item.id);
    this.body.insertBefore(row.element, next ? next.row.element : null);
    this.observer?.observe(row.element);
  }

  /** Where an item stands or belongs (bisection). */
  place(item) {
    let [low, high] = [0, this.order.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.rows.get(this.order[middle])?.item;
      if (other && this.before(other, item)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  fill(id) {
    const known = this.rows.get(id);
    if (!known || known.filled) return;
    known.filled = true;
    this.observer?.unobserve(known.row.element);
    known.row.fill();
  }

  seen(entries) {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      this.fill(this.byElement.get(entry.target));
    }
  }

  counted() {
    this.element.classList.toggle("cs-very-long", this.order.length > FILLED_AT_ONCE);
  }
}
