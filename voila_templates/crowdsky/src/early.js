// Runs inline in <head>, before the first paint: theme and visitor as the last page knew them, and the alarm that
// rings when the scripts do not come. Small, and nothing in it may throw: storage can be forbidden.
(() => {
  const root = document.documentElement;
  const read = (key) => {
    try {
      return localStorage.getItem(key);
    } catch {
      return null;
    }
  };
  const theme = read("crowdsky-theme");
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  const name = root.dataset.csUser || read("crowdsky-user") || "";
  root.dataset.csVisitor = name ? "known" : "anonymous";

  const early = (window.crowdskyEarly = { name, failed: false });
  const show = (id) => {
    const box = document.getElementById(id);
    if (box) box.hidden = false;
  };
  early.fail = () => {
    early.failed = true;
    show("cs-no-scripts");
    const waiting = document.getElementById("cs-waiting");
    if (waiting) waiting.hidden = true;
  };
  // A script that cannot be fetched says so at once; one that hangs is given fifteen seconds.
  addEventListener("error", (event) => {
    if (event.target instanceof HTMLScriptElement && "cs" in event.target.dataset) early.fail();
  }, true);
  setTimeout(() => window.crowdskyReady || early.fail(), 15000);

  // Called by a line of the page right after the navigation and the placeholder are there.
  early.paint = (page) => {
    for (const place of document.querySelectorAll("[data-cs-name]")) place.textContent = name;
    const figures = name && document.getElementById("cs-last");
    let last = null;
    try {
      last = JSON.parse(read(`crowdsky-last-${page}`) || "null");
    } catch {
      return;
    }
    if (!figures || !last || last.user !== name || !Array.isArray(last.figures)) return;
    for (const [label, value] of last.figures) {
      const pair = document.createElement("div");
      pair.append(Object.assign(document.createElement("dt"), { textContent: label }));
      pair.append(Object.assign(document.createElement("dd"), { textContent: value }));
      figures.append(pair);
    }
  };
})();
addEventListener("click", (event) => {
  if (event.target instanceof Element && event.target.closest("[data-cs-reload]")) location.reload();
});
