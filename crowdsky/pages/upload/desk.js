// The parts of the Upload page, and what is put into them.

const LINES_OF_A_PREVIEW = 500;
const JOBS_OF_A_RECEIPT = 12;

/** Everything that is set later on, by name. */
function parts(site) {
  const button = (name, kind = "") => h(`button.cs-button${kind}`, { type: "button" }, name);
  const it = {
    finalise: button("Finalise and create stacking jobs", ".cs-primary"),
    bar: h("div.cs-bar", { role: "progressbar", "aria-label": "Upload progress",
      "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": 0 }),
    percent: h("span.cs-number", { "aria-hidden": "true" }, "0 %"),
    headline: h("p.cs-up-headline"),
    login: h("a.cs-button.cs-small", { href: loginAddress(site), hidden: true }, "Log in"),
    giveUp: button("Go on without them", ".cs-small"),
    pause: button("Pause all", ".cs-small"),
    resume: button("Resume all", ".cs-small"),
    failure: h("p.cs-up-failure", { role: "alert" }),
    caution: h("p.cs-up-caution", { role: "status" }),
    summary: h("p.cs-up-summary"),
    preview: h("details.cs-up-preview", { hidden: true }),
    files: button("Choose files"),
    folder: button("Choose folder", ".cs-primary"),
    dropTitle: h("p.cs-up-drop-title"),
    dropHint: h("p.cs-up-drop-hint"),
    receipt: h("section.cs-card.cs-up-receipt", { "aria-label": "Receipt", hidden: true }),
    counts: h("p.cs-up-counts"),
    problems: button("Problems only", ".cs-small"),
    clear: button("Clear the list", ".cs-small.cs-quiet"),
    reasons: h("ul.cs-up-reasons", { hidden: true }),
    said: h("div.cs-visually-hidden", { role: "status", "aria-live": "polite" }),
    pickFiles: h("input", { type: "file", multiple: true, hidden: true, tabindex: -1 }),
    pickFolder: h("input", { type: "file", multiple: true, webkitdirectory: true, hidden: true,
      tabindex: -1 }),
  };
  setAttribute(it.problems, "aria-pressed", "false");
  it.drop = h("section.cs-up-drop", { role: "region", "aria-label": "Drop files here" },
    icon("M8 10.5v-8M4.8 5.5 8 2.3l3.2 3.2M2 10.5v2.7h12v-2.7"),
    h("div.cs-up-drop-words", {}, it.dropTitle, it.dropHint),
    h("div.cs-up-drop-buttons", {}, it.files, it.folder),
    it.pickFiles, it.pickFolder);
  it.desk = h("section.cs-card.cs-up-desk", { "aria-label": "Upload" },
    h("div.cs-up-line", {}, it.finalise, h("div.cs-up-progress", {}, it.bar, it.percent)),
    h("div.cs-up-status", {}, it.headline, h("div.cs-up-buttons", {}, it.login, it.giveUp, it.pause, it.resume)),
    h("div.cs-up-plan", {}, it.summary, it.preview),
    it.caution, it.failure);
  return it;
}

function loginAddress(site) {
  const next = encodeURIComponent(window.location.pathname + window.location.search);
  return `${site.api.replace(/\/api\/v1\/?$/, "")}/login?next=${next}`;
}

/** There is no agent to draw from: say why, and where to go. */
function drawWithout(el, site) {
  let [text, address, name] = ["Uploads are done on the Upload page, which goes on with them when you leave it.",
    "/upload", "Open the Upload page"];
  if (site && site.user) {
    [text, address, name] = ["Uploading could not be started in this browser. Load the page again; if that does "
      + "not help, try another browser or a window that is not private.", window.location.href, "Load again"];
  } else if (site) {
    [text, address, name] = ["Log in to upload your frames.", loginAddress(site), "Log in"];
  }
  el.append(h("div.cs-notice", {}, h("p", {}, text), h("p", {}, h("a", { href: address }, name))));
}

/** The blocks that would be made: a line, and behind it a table. */
function previewLines(told) {
  const head = ["Target", "From (UTC)", "Frames", "Filter", "Exposure", "Telescope"];
  const line = (block) => h("tr", {}, ...[
    block.target || "no target", timeInWords(block.start_utc),
    inWords(block.n_frames) + (block.n_there ? ` and ${inWords(block.n_there)} there` : ""),
    block.filter || "none", `${block.exposure_s} s`, block.telescope,
  ].map((text) => h("td", {}, String(text))));
  const more = told.blocks.length - LINES_OF_A_PREVIEW;
  return [
    h("summary", {}, previewInWords(told)),
    h("div.cs-scroll.cs-up-blocks",
      { tabindex: 0, role: "region", "aria-label": "Blocks to be stacked" },
      h("table.cs-table", {},
        h("thead", {}, h("tr", {}, ...head.map((text) => h("th", { scope: "col" }, text)))),
        h("tbody", {}, ...told.blocks.slice(0, LINES_OF_A_PREVIEW).map(line)))),
    more > 0 ? h("p.cs-hint", {}, `and ${many(more, "more block")}`) : "",
  ];
}

/** What was sent and what was made of it, to keep: the agent's receipt, or the service's answer until it is there. */
function receiptLines(receipt, site) {
  const jobs = receipt.jobs || receipt.job_ids || [];
  const title = jobs.length
    ? `${many(jobs.length, "stacking job")} created`
    : "No new stacking jobs: the frames have theirs already";
  const counts = [["accepted", receipt.accepted], ["already here", receipt.duplicates], ["refused", receipt.refused]]
    .filter(([, count]) => count).map(([name, count]) => `${inWords(count)} ${name}`).join(", ");
  const digest = receipt.digest && h("span", {}, h("code", {}, receipt.digest),
    h("small.cs-hint", {}, "To compare, in a folder of the same frames: ",
      h("code", {}, "sha256sum * | cut -c-64 | sort -u | sha256sum")));
  const facts = [
    ["Files", receipt.files && `${many(receipt.files, "file")}${counts ? `: ${counts}` : ""}`],
    ["Size", receipt.bytes && bytesInWords(receipt.bytes)],
    ["When", receipt.whenMs && `${timeInWords(new Date(receipt.whenMs).toISOString())} UTC`],
    ["Digest", digest],
  ].filter(([, text]) => text);
  const more = jobs.length - JOBS_OF_A_RECEIPT;
  return [
    h("h2", { tabindex: -1 }, title),
    h("dl.cs-up-facts", {}, ...facts.flatMap(([name, text]) => [h("dt", {}, name), h("dd", {}, text)])),
    h("div.cs-row", {},
      h("a.cs-button.cs-primary", { href: `${site.base}status` }, "Follow them on Status"),
      ...jobs.slice(0, JOBS_OF_A_RECEIPT).map((id) =>
        h("a.cs-chip", { href: `${site.base}status?find=${id}` }, `Job ${id}`)),
      more > 0 ? h("span.cs-dim", {}, `and ${inWords(more)} more`) : ""),
  ];
}
