// Who is here. The page is drawn with the name that the last page knew; this asks the service and puts it right.

import { forgetFigures, remember } from "./storage.js";

const PATIENCE_MS = 8000;

// Answers {name, problem}: name "" for nobody, problem "signed-out", "offline" or "".
export async function askVisitor({ config, early, fetchApi }) {
  if (config.user) return settle(config.user, early, "");
  try {
    const answer = await fetchApi("/me", { signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!answer.ok) return { name: early, problem: "offline" };
    return settle((await answer.json()).name, early, "");
  } catch (error) {
    if (error.kind === "signed-out") return settle("", early, "signed-out");
    return { name: early, problem: "offline" };
  }
}

function settle(name, early, problem) {
  if (name !== early) {
    forgetFigures();
    for (const place of document.querySelectorAll("[data-cs-name]")) place.textContent = name;
  }
  remember("crowdsky-user", name || null);
  document.documentElement.dataset.csVisitor = name ? "known" : "anonymous";
  return { name, problem };
}

// Logging out ends the service's session too, not only the Hub's.
export function watchLogout(link, { fetchLogout }) {
  link?.addEventListener("click", async (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    remember("crowdsky-user", null);
    forgetFigures();
    await fetchLogout().catch(() => {});
    location.assign(link.href);
  });
}

// A menu that closes as menus do: Escape, or a click beside it.
export function watchMenu(details) {
  if (!details) return;
  addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !details.open) return;
    details.open = false;
    details.querySelector("summary").focus();
  });
  addEventListener("click", (event) => {
    if (details.open && !details.contains(event.target)) details.open = false;
  });
}
