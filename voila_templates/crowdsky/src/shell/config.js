// What the page's template was told by the server, as JSON in the page.

export function readConfig(document) {
  const place = document.getElementById("crowdsky-config");
  const told = place ? JSON.parse(place.textContent) : {};
  return {
    page: told.page ?? "",
    base: told.base ?? "/services/pages/",
    api: (told.api ?? "/services/crowdsky/api/v1").replace(/\/$/, ""),
    hub: told.hub ?? "/hub/",
    user: told.user ?? "",
    static: told.static ?? "",
    modules: told.modules ?? {},
    workers: told.workers ?? {},
  };
}
