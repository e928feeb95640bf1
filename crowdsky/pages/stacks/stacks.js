// The Stacks page: a list of stacks, how many and how large they are, and all of them as one download.

const SCOPES = [["mine", "Mine"], ["public", "Everyone’s"]];
const TYPED_MS = 250;
const LOOK_MS = 20000;

function drawStacks({ model, el, site, onEnd }) {
  const asked = new URLSearchParams(window.location.search);
  const state = { scope: asked.get("scope") === "public" ? "public" : "mine", target: (asked.get("target") || "").trim(),
    ask: 0, total: null, bytes: 0, more: false, fetching: false, preparing: false, rank: 0, typed: 0 };
  const voice = announcer();

  const scopes = new Map(SCOPES.map(([key, word]) => [key, h("button.cs-button.cs-small", { type: "button", "aria-pressed": "false",
    onclick: () => choose({ scope: key }) }, word)]));
  const find = h("input", { type: "search", value: state.target, placeholder: "Target, such as M 94", autocomplete: "off", spellcheck: "false",
    "aria-label": "Find a target", oninput: () => {
      window.clearTimeout(state.typed);
      state.typed = window.setTimeout(() => choose({ target: find.value.trim() }), TYPED_MS);
    } });
  const selection = h("p.sk-selection", { role: "status", "aria-label": "Selection", dataset: { csKeep: "stacks" } }, "Looking for stacks…");
  const download = h("button.cs-button.cs-primary", { type: "button", disabled: true, onclick: () => downloadAll() }, icon(DOWN), h("span", {}, "Download All"));
  const notice = h("div.cs-notice.cs-warn", { role: "alert", hidden: true });
  const empty = h("div.cs-empty", { hidden: true });
  const table = new LongTable({ labelledBy: "sk-head", columns: STACK_COLUMNS, before: (a, b) => a.rank < b.rank, rowOf: stackRow });
  const box = h("div.cs-long-box.cs-card.sk-box", { hidden: true }, table.element);
  const more = h("button.cs-button", { type: "button", hidden: true, onclick: () => goOn() }, "Show more stacks");
  el.classList.add("sk-page");
  el.append(h("h1", {}, "Stacks"),
    h("div.sk-tools.cs-card", {}, h("div.sk-scopes", { role: "group", "aria-label": "Whose stacks" }, ...scopes.values()),
      h("div.cs-field.sk-find", {}, find), h("div.sk-all", {}, selection, download)),
    notice, h("h2.cs-visually-hidden", { id: "sk-head" }, "Stacks"), empty, box, h("div.sk-more", {}, more), voice.element);

  // --- what is asked for ------------------------------------------------------------------------------------

  function choose(change) {
    Object.assign(state, change);
    keepInAddress({ scope: state.scope === "mine" ? "" : state.scope, target: state.target });
    state.ask += 1;
    state.fetching = true;
    notice.hidden = true;
    tell(model, { type: "list", scope: state.scope, target: state.target, ask: state.ask });
    show();
  }

  function goOn() {
    if (state.fetching || !state.more) return;
    state.fetching = true;
    tell(model, { type: "more", ask: state.ask });
  }

  async function downloadAll() {
    if (state.preparing || !state.total) return;
    state.preparing = true;
    notice.hidden = true;
    show();
    voice.say(`Preparing ${many(state.total, "stack")} for download.`);
    try {
      const wanted = { scope: state.scope, ...(state.target ? { target: state.target } : {}) };
      const answer = await site.fetchApi("/downloads", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(wanted) });
      const told = await answer.json().catch(() => ({}));
      if (!answer.ok) throw new Error(told.message || `The service answered ${answer.status}. Try again.`);
      fetchFile(`${site.api}${told.url.slice(told.url.indexOf("/downloads"))}`);
      voice.say(`The download of ${bytesInWords(told.n_bytes)} begins.`);
      if (told.n_missing) complain(`${many(told.n_missing, "stack")} cannot be had just now; the manifest in the archive names them.`);
    } catch (error) {
      complain(errorInWords(error));
    } finally {
      state.preparing = false;
      show();
    }
  }

  /** The answer says that it is a file, so the page stays. */
  function fetchFile(address) {
    const link = h("a", { href: address, download: "crowdsky.zip", hidden: true });
    el.append(link);
    link.click();
    link.remove();
  }

  function complain(text) {
    notice.replaceChildren(h("p", {}, text));
    notice.hidden = false;
  }

  // --- what is shown ----------------------------------------------------------------------------------------

  function show() {
    for (const [key, button] of scopes) setAttribute(button, "aria-pressed", String(key === state.scope));
    if (state.total !== null) setText(selection, `${many(state.total, "stack")}, ${bytesInWords(state.bytes)}`);
    download.disabled = !state.total || !site;
    setAttribute(download, "aria-busy", state.preparing ? "true" : null);
    setAttribute(download, "aria-disabled", state.preparing ? "true" : null);
    box.hidden = !table.size;
    box.classList.toggle("sk-old", state.fetching);
    more.hidden = !state.more;
    setText(more, `Show more stacks (${inWords(table.size)} of ${inWords(state.total || 0)} are shown)`);
  }

  function showEmpty(working) {
    empty.hidden = state.total !== 0;
    if (empty.hidden) return;
    const link = (page, words) => h("a.cs-button.cs-primary", { href: pageUrl(site, page) }, words);
    const parts = [];
    if (state.target) {
      parts.push(h("p", {}, h("b", {}, "No stack of that name. "), "Try a part of it, or look among everyone’s."));
      parts.push(h("button.cs-button", { type: "button", onclick: () => { find.value = ""; choose({ target: "" }); find.focus(); } }, "Show all"));
    } else if (state.scope === "public") {
      parts.push(h("p", {}, h("b", {}, "No public stacks yet. "), "The first could be yours."), link("upload", "Upload some frames"));
    } else {
      const { running = 0, queued = 0, failed = 0 } = working || {};
      const told = [running ? `${many(running, "job")} of yours ${running === 1 ? "is" : "are"} running.` : "",
        queued ? `${many(queued, "job")} of yours ${queued === 1 ? "is" : "are"} waiting.` : "",
        !running && !queued && failed ? `${many(failed, "job")} of yours failed.` : ""].filter(Boolean);
      parts.push(h("p", {}, h("b", {}, "No stacks yet. "), told.join(" ")));
      parts.push(told.length ? link("status", "See their status") : link("upload", "Upload some frames"));
    }
    empty.replaceChildren(...parts);
  }

  const heard = {
    stacks(message) {
      if (message.anew) {
        table.clear();
        state.rank = 0;
      }
      Object.assign(state, { total: message.total, bytes: message.n_bytes, more: message.more, fetching: false });
      table.put(message.rows.map((row) => ({ ...row, rank: (state.rank += 1) })));
      notice.hidden = notice.hidden || message.anew;
      show();
      showEmpty(null);
      if (message.anew) window.requestAnimationFrame(nearEnd);
    },
    totals(message) {
      // Something came or went: the list is read anew, where that moves nothing under the reader's eyes.
      if (message.total === state.total && message.n_bytes === state.bytes) return;
      if (window.scrollY < 200 && !el.contains(document.activeElement?.closest("tbody") || null)) choose({});
      else {
        Object.assign(state, { total: message.total, bytes: message.n_bytes });
        show();
      }
    },
    working: showEmpty,
    refused({ text }) {
      state.fetching = false;
      complain(`The list could not be read: ${text}`);
      notice.append(h("button.cs-button.cs-small", { type: "button", onclick: () => choose({}) }, "Try again"));
      show();
    },
  };
  const hear = (message) => {
    if (message && message.ask === state.ask) heard[message.type]?.(message);
  };

  const nearEnd = () => {
    const { top } = more.getBoundingClientRect();
    if (!more.hidden && top < window.innerHeight + 1200) goOn();
  };
  const look = window.setInterval(() => {
    if (!document.hidden && !state.fetching && state.total !== null) tell(model, { type: "look", ask: state.ask });
  }, LOOK_MS);
  window.addEventListener("scroll", nearEnd, { passive: true });
  model.on("msg:custom", hear);
  onEnd(() => {
    model.off("msg:custom", hear);
    window.removeEventListener("scroll", nearEnd);
    window.clearInterval(look);
    table.close();
  });
  show();
}

export default page(drawStacks);
