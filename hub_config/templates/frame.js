// The bar's buttons, and those that show a password.
(() => {
  const root = document.documentElement;
  const button = document.getElementById("cs-theme");
  const order = ["system", "dark", "light"];
  const say = (choice) => {
    button.dataset.choice = choice;
    button.setAttribute("aria-label", `Colours: ${choice}`);
  };
  if (button) {
    button.hidden = false;
    say(root.dataset.theme || "system");
    button.addEventListener("click", () => {
      const choice = order[(order.indexOf(button.dataset.choice) + 1) % 3];
      if (choice === "system") delete root.dataset.theme;
      else root.dataset.theme = choice;
      try {
        if (choice === "system") localStorage.removeItem("crowdsky-theme");
        else localStorage.setItem("crowdsky-theme", choice);
      } catch {
        // It holds for this page then.
      }
      window.crowdskyTellTheme();
      say(choice);
    });
  }
  const menu = document.getElementById("cs-who");
  if (menu) {
    document.addEventListener("click", (event) => {
      if (!menu.contains(event.target)) menu.open = false;
    });
    menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      menu.open = false;
      menu.querySelector("summary").focus();
    });
  }
  for (const show of document.querySelectorAll("[data-cs-shows]")) {
    const fields = show.dataset.csShows.split(" ").map((id) => document.getElementById(id));
    show.hidden = false;
    show.addEventListener("click", () => {
      const shown = show.getAttribute("aria-pressed") !== "true";
      show.setAttribute("aria-pressed", String(shown));
      for (const field of fields) field.type = shown ? "text" : "password";
    });
  }
  const insecure = document.getElementById("cs-insecure");
  if (insecure && !window.isSecureContext) insecure.hidden = false;
  // Sent twice, a form of signing up would find its own name taken.
  for (const form of document.querySelectorAll("form[data-cs-once]")) {
    form.addEventListener("submit", () => {
      setTimeout(() => {
        for (const part of form.querySelectorAll("[type=submit]")) part.disabled = true;
      });
    });
  }
  // A page that the browser kept comes back as it was left.
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    for (const part of document.querySelectorAll("form[data-cs-once] [type=submit]")) part.disabled = false;
  });
})();
