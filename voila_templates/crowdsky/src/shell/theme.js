// The button that goes through the three choices of colours: as the system has it, dark, light.

import { recall, remember } from "./storage.js";

const CHOICES = ["system", "dark", "light"];

export function startTheme(button) {
  const stored = recall("crowdsky-theme");
  let choice = CHOICES.includes(stored) ? stored : "system";

  function apply() {
    const root = document.documentElement;
    if (choice === "system") delete root.dataset.theme;
    else root.dataset.theme = choice;
    // bqplot and other libraries for Jupyter look at the body.
    const dark = choice === "dark" || (choice === "system" && !matchMedia("(prefers-color-scheme: light)").matches);
    document.body.dataset.jpThemeLight = String(!dark);
    if (button) {
      button.dataset.choice = choice;
      button.setAttribute("aria-label", `Colours: ${choice}`);
      button.title = `Colours: ${choice}. Click for ${CHOICES[(CHOICES.indexOf(choice) + 1) % 3]}.`;
      button.hidden = false;
    }
  }

  button?.addEventListener("click", () => {
    choice = CHOICES[(CHOICES.indexOf(choice) + 1) % 3];
    remember("crowdsky-theme", choice === "system" ? null : choice);
    apply();
  });
  // Another tab changed it, or the sun set.
  addEventListener("storage", (event) => {
    if (event.key !== "crowdsky-theme") return;
    choice = CHOICES.includes(event.newValue) ? event.newValue : "system";
    apply();
  });
  matchMedia("(prefers-color-scheme: light)").addEventListener("change", apply);
  apply();
}
