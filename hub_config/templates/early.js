// Before the first paint: the colours that were chosen on the site's pages, for Bootstrap's parts too.
(() => {
  const root = document.documentElement;
  let choice = null;
  try {
    choice = localStorage.getItem("crowdsky-theme");
  } catch {
    // Storage can be forbidden: the system decides then.
  }
  if (choice === "light" || choice === "dark") root.dataset.theme = choice;
  const light = matchMedia("(prefers-color-scheme: light)");
  const tell = () => {
    root.dataset.bsTheme = root.dataset.theme || (light.matches ? "light" : "dark");
  };
  light.addEventListener("change", tell);
  window.crowdskyTellTheme = tell;
  tell();
})();
