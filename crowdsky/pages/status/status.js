// The Status page: the law of the ledger, the table of all jobs, and what may be done with them.

const FILTERS = [["", "All"], ["running", "Running"], ["queued", "Waiting"], ["done", "Done"], ["failed", "Failed"]];

function drawStatus({ model, el, site, onEnd }) {
  const asked = new URLSearchParams(window.location.search);
  const state = { filter: FILTERS.some(([key]) => key === asked.get("state")) ? asked.get("state") || "" : "", text: asked.get("find") || "",
    head: null, books: null, offsetMs: 0, operator: false, heard: false };
  const picked = new Set();
  const busy = new Map(); // id -> what is under way
  const voice = announcer();
  const books = booksPicture();
  const now = () => Date.now() + state.offsetMs;

  const live = h("span.cs-chip.st-live", { hidden: true });
  const delayed = h("div.cs-notice.cs-warn", { role: "status", hidden: true });
  const loose = h("p.cs-notice.st-loose", { hidden: true });
  const tabs = new Map(FILTERS.map(([key, word]) => [key, h("button.cs-button.cs-small.st-tab", { type: "button", "aria-pressed": "false",
    onclick: () => choose({ filter: key }) }, h("span", {}, word), h("span.st-count"))]));
  tabs.get("").lastChild.dataset.csKeep = "jobs"; // shown at once at the next visit
  tabs.get("running").lastChild.dataset.csKeep = "running";
  const find = h("input", { type: "search", value: state.text, placeholder: "Target or number", autocomplete: "off", spellcheck: "false",
    "aria-label": "Find jobs", oninput: () => choose({ text: find.value }) });
  const tools = h("div.st-tools", { hidden: true }, h("div.st-tabs", { role: "group", "aria-label": "Show jobs" }, ...tabs.values()),
    h("div.cs-field.st-find", {}, find));
  const pickAll = h("input", { type: "checkbox", "aria-label": "Select all jobs shown", onchange: () => pickShown(pickAll.checked) });
  const pickedText = h("span.st-picked-text");
  const removePicked = h("button.cs-button.cs-danger.cs-small", { type: "button", onclick: () => remove([...picked]) }, icon(TRASH), h("span"));
  const pickNone = h("button.cs-button.cs-quiet.cs-small", { type: "button", onclick: () => { pickShown(false); pickAll.focus(); } }, "Select none");
  const bulk = h("div.st-bulk", { hidden: true, role: "group", "aria-label": "Selected jobs" }, pickedText, removePicked, pickNone);
  const empty = h("div.cs-empty", { hidden: true });
  const waiting = h("p.cs-dim.st-reading", { role: "status" }, "Reading your jobs…");

  const table = new LongTable({ labelledBy: "st-head", columns: JOB_COLUMNS, before: (a, b) => a.id > b.id,
    rowOf: (job) => jobRow(job, { now, isOperator: () => state.operator,
      details: (one, box, opener) => jobDetails(one, box, opener, (type, id) => ask(type, id)) }) });
  table.head.firstChild.append(h("label.st-pick-all", {}, pickAll, h("span", { "aria-hidden": "true" }, "Select all shown")));
  const box = h("div.cs-long-box.cs-card.st-box", { hidden: true }, table.element);
  const head = h("h2", { id: "st-head", tabindex: -1 }, "Job Status Overview");
  el.classList.add("st-page");
  el.append(h("header.st-top", {}, h("h1", {}, "Status"), live), delayed, books.element, loose,
    h("section.st-jobs", { "aria-labelledby": "st-head" }, head, tools, bulk, waiting, empty, box), voice.element);
  books.element.hidden = true;

  // --- what is asked of the kernel --------------------------------------------------------------------------

  const logs = { ids: new Set(), timer: 0 };
  function ask(type, id) {
    if (type !== "log") return tell(model, { type, ids: [id] });
    logs.ids.add(id); // rows come in dozens: their logs are asked for together
    window.clearTimeout(logs.timer);
    logs.timer = window.setTimeout(() => { tell(model, { type, ids: [...logs.ids] }); logs.ids.clear(); }, 60);
    return undefined;
  }

  async function remove(ids) {
    const jobs = ids.map((id) => table.item(id)).filter((job) => job && !busy.has(job.id));
    if (!jobs.length) return;
    const some = (key) => jobs.some((job) => job.state === key);
    const lines = [jobs.length === 1 ? jobInWords(jobs[0]) : jobs.slice(0, 3).map((job) => `${job.id} ${job.target || ""}`.trim()).join(", ")
      + (jobs.length > 3 ? ` and ${inWords(jobs.length - 3)} more` : "")];
    if (some("running")) lines.push("What runs is stopped, and nothing comes of it.");
    if (jobs.some((job) => job.state !== "done")) lines.push("Raw frames that only this needed are deleted from temporary storage: to stack them later, they must be uploaded again.");
    if (some("done")) lines.push("Finished stacks stay; you find them on the Stacks page.");
    lines.push("This cannot be undone.");
    const title = jobs.length === 1 ? `Delete job ${jobs[0].id}?` : `Delete ${inWords(jobs.length)} jobs?`;
    if (!(await askFirst({ title, lines, button: "Delete" }))) return;
    const there = jobs.map((job) => job.id).filter((id) => table.row(id));
    for (const id of there) mark(id, "delete");
    if (there.length) tell(model, { type: "delete", ids: there });
  }

  function retry(id) {
    if (busy.has(id)) return;
    mark(id, "retry");
    tell(model, { type: "retry", ids: [id] });
  }

  function mark(id, what) {
    if (what) busy.set(id, what);
    else busy.delete(id);
    const row = table.row(id);
    if (what) row?.element.querySelector(".st-refused")?.remove(); // of the last time
    row?.busy(what);
  }

  // --- what is shown ----------------------------------------------------------------------------------------

  function choose(change) {
    Object.assign(state, change);
    keepInAddress({ state: state.filter, find: state.text.trim() });
    show();
  }

  function fits(job) {
    if (state.filter && job.state !== state.filter) return false;
    const text = state.text.trim().toLowerCase();
    return !text || String(job.id) === text.replace(/^#/, "") || (job.target || "").toLowerCase().includes(text);
  }

  function counts() {
    const found = { "": table.size, queued: 0, running: 0, done: 0, failed: 0 };
    for (const id of table.order) found[table.item(id).state] += 1;
    if (state.head && !state.head.loaded) {
      Object.assign(found, state.head.counts, { "": state.head.total });
    }
    return found;
  }

  function show() {
    const n = counts();
    const nShown = table.filter(fits);
    for (const [key, tab] of tabs) {
      setAttribute(tab, "aria-pressed", String(key === state.filter));
      setText(tab.lastChild, inWords(n[key] || 0));
    }
    waiting.hidden = state.heard && (Boolean(state.head && state.head.loaded) || table.size > 0);
    tools.hidden = !n[""];
    box.hidden = !nShown;
    showEmpty(n, nShown);
    showLoose(n);
    showPicked();
  }

  function showEmpty(n, nShown) {
    empty.hidden = nShown > 0 || !(state.head && state.head.loaded);
    if (empty.hidden) return;
    const upload = (words) => h("a.cs-button.cs-primary", { href: pageUrl(site, "upload") }, words);
    const key = `${n[""]} ${state.filter} ${state.text} ${state.head.loose || 0}`;
    if (empty.dataset.key === key) return;
    empty.dataset.key = key;
    if (n[""]) {
      empty.replaceChildren(h("p", {}, "No job is like that."), h("button.cs-button", { type: "button",
        onclick: () => { find.value = ""; choose({ filter: "", text: "" }); tabs.get("").focus(); } }, "Show all jobs"));
    } else if (state.head.loose) {
      empty.replaceChildren(h("p", {}, h("b", {}, "No jobs yet.")), h("p", {}, `${many(state.head.loose, "frame")} of yours ${state.head.loose === 1 ? "waits" : "wait"} to be finalised.`),
        upload("Finalise them on Upload"));
    } else {
      empty.replaceChildren(h("p", {}, h("b", {}, "No jobs yet.")), h("p", {}, "A job makes a stack of a quarter of an hour of your frames."), upload("Upload some frames"));
    }
  }

  function showLoose(n) {
    const number = n[""] ? (state.head && state.head.loose) || 0 : 0;
    loose.hidden = !number;
    const text = `${many(number, "frame")} ${number === 1 ? "is" : "are"} in no job yet. `;
    if (loose.hidden || loose.dataset.text === text) return;
    loose.dataset.text = text;
    loose.replaceChildren(text, h("a", { href: pageUrl(site, "upload") }, "Finalise them on Upload"));
  }

  function showHead(next) {
    state.head = next;
    const why = next.delayed || "";
    live.hidden = false;
    live.className = `cs-chip st-live ${why ? "cs-warn" : "cs-good"}`;
    setText(live, why ? "Delayed" : "Live");
    if (!delayed.hidden && !why) voice.say("Live again.");
    if (why && delayed.hidden) {
      delayed.replaceChildren(h("p", {}, h("b", {}, "Delayed. "), `The service does not answer just now; this is what was known at ${clockUtc(new Date(now()), true)} UTC. `
        + "Your jobs and frames are safe there, and this page goes on by itself."), h("p.cs-dim", {}, why));
    }
    delayed.hidden = !why;
  }

  function showPicked() {
    for (const id of picked) if (!table.row(id)) picked.delete(id);
    const shown = table.shown;
    const n = shown.filter((id) => picked.has(id)).length;
    pickAll.checked = n > 0 && n === shown.length;
    pickAll.indeterminate = n > 0 && n < shown.length;
    bulk.hidden = !picked.size;
    setText(pickedText, `${many(picked.size, "job")} selected`);
    setText(removePicked.lastChild, `Delete ${many(picked.size, "job")}`);
  }

  function pickShown(yes) {
    if (!yes) picked.clear();
    else for (const id of table.shown) picked.add(id);
    for (const id of table.order) table.row(id).picked(picked.has(id));
    showPicked();
  }

  /** Take rows away, and leave the keyboard somewhere sensible. */
  function take(ids) {
    for (const id of ids) {
      const row = table.row(id);
      if (!row) continue;
      const held = row.element.contains(document.activeElement) || (document.activeElement === document.body && busy.get(id) === "delete");
      const shown = held ? table.shown : [];
      const at = shown.indexOf(id);
      const next = held ? table.row(shown[at + 1] ?? shown[at - 1]) : null;
      table.remove(id);
      picked.delete(id);
      if (held) (next ? next.remove : head).focus({ preventScroll: !next });
    }
  }

  // --- what the kernel tells --------------------------------------------------------------------------------

  function changed(message) {
    state.heard = true;
    if (message.now_ms) state.offsetMs = message.now_ms - Date.now();
    if (message.anew) {
      const there = new Set((message.rows || []).map((job) => job.id));
      take(table.order.filter((id) => !there.has(id)));
    }
    if (message.gone) take(message.gone);
    if (message.rows) {
      for (const job of message.rows) tellChange(table.item(job.id), job);
      table.put(message.rows);
      for (const job of message.rows) if (busy.has(job.id)) table.row(job.id).busy(busy.get(job.id));
    }
    if (message.books) {
      state.books = message.books;
      books.element.hidden = false;
      books.show(message.books);
    }
    if (message.head) showHead(message.head);
    show();
  }

  function tellChange(before, job) {
    if (!before || before.state === job.state) return;
    if (job.state === "done") voice.say(`Job ${job.id} is done.`);
    if (job.state === "failed") voice.say(`Job ${job.id} failed: ${job.reason || "no reason was told"}.`);
  }

  function refused({ what, ids, text }) {
    for (const id of ids) {
      if (busy.get(id) === what) mark(id, "");
      const row = table.row(id);
      if (!row) continue;
      row.element.querySelector(".st-refused")?.remove();
      const words = { delete: "It could not be deleted", retry: "It could not be queued again" }[what] || "It could not be read";
      row.element.append(h("td.st-refused", { role: "cell" }, `${words}: ${text}. Try again.`));
    }
    voice.say(`${text}`);
  }

  const heard = {
    changes: changed,
    deleted({ ids }) {
      take(ids);
      for (const id of ids) busy.delete(id);
      voice.say(ids.length === 1 ? `Job ${ids[0]} deleted.` : `${many(ids.length, "job")} deleted.`);
      show();
    },
    retried({ ids }) {
      for (const id of ids) {
        mark(id, "");
        // Its own button is hidden by now; whoever went elsewhere meanwhile stays there.
        const row = table.row(id);
        if (row && (document.activeElement === document.body || row.element.contains(document.activeElement))) row.remove.focus();
        voice.say(`Job ${id} is queued again.`);
      }
    },
    refused,
    frames({ id, frames }) { table.row(id)?.details?.frames(frames); },
    log({ id, log }) { table.row(id)?.details?.log(log); },
    operator() {
      state.operator = true;
      for (const id of table.order) table.row(id).update(table.item(id));
    },
  };
  const hear = (message) => heard[message && message.type]?.(message);

  table.body.addEventListener("click", (event) => {
    const control = event.target.closest("[data-act]");
    const id = Number(event.target.closest("[data-job]")?.dataset.job);
    if (!control || !id || control.getAttribute("aria-disabled") === "true") return;
    if (control.dataset.act === "delete") remove([id]);
    if (control.dataset.act === "retry") retry(id);
    if (control.dataset.act === "pick") {
      if (control.checked) picked.add(id);
      else picked.delete(id);
      showPicked();
    }
  });
  const clock = window.setInterval(() => {
    if (document.hidden) return;
    for (const id of table.order) if (table.item(id).state === "running") table.row(id).tick();
  }, 1000);

  model.on("msg:custom", hear);
  onEnd(() => { model.off("msg:custom", hear); window.clearInterval(clock); table.close(); });
  show();
}

export default page(drawStatus);
