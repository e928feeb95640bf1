// Figures that the next visit shows while its page is being prepared: the texts of elements with data-cs-keep="label".

import { remember } from "./storage.js";

export function keepFigures({ page, user }) {
  if (!user) return;
  const keep = () => {
    const figures = [...document.querySelectorAll("[data-cs-keep]")]
      .slice(0, 5)
      .map((place) => [place.dataset.csKeep, place.textContent.trim().slice(0, 40)])
      .filter(([label, value]) => label && value);
    if (figures.length) remember(`crowdsky-last-${page}`, JSON.stringify({ user, figures }));
  };
  addEventListener("pagehide", keep);
  document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && keep());
}
