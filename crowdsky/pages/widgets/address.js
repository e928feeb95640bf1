// Addresses of the site's pages, and what a page keeps in its own.

/** Address of another page of ours. */
function pageUrl(site, name) {
  return `${(site && site.base) || "/services/pages/"}${name}`;
}

/** Keep a choice in the address, so that it survives a reload and can be sent to somebody. */
function keepInAddress(choices) {
  const url = new URL(window.location.href);
  for (const [name, value] of Object.entries(choices)) {
    if (value) url.searchParams.set(name, value);
    else url.searchParams.delete(name);
  }
  window.history.replaceState(window.history.state, "", url);
}
