// Pictures and files of stacks: the browser fetches them from the service with its own cookie.

/** Address of something of a stack: "preview", "thumbnail" or "file". */
function stackUrl(id, what) {
  const api = (window.crowdsky && window.crowdsky.api) || "/services/crowdsky/api/v1";
  return `${api}/stacks/${id}/${what}`;
}

/** An <img> of a stack. Where it cannot be had, the session is renewed once; then `missing` stands in its place. */
function stackPicture(id, what, alt, missing) {
  const image = h("img", { src: stackUrl(id, what), alt, loading: "lazy", decoding: "async" });
  let tried = false;
  image.addEventListener("error", async () => {
    if (!tried && window.crowdsky && window.crowdsky.fetchApi) {
      tried = true;
      try {
        // The service's session ends before the Hub's does; any request renews it out of sight.
        if ((await window.crowdsky.fetchApi("/me")).ok) {
          image.src = `${stackUrl(id, what)}?again`;
          return;
        }
      } catch {
        // Signed out, or offline.
      }
    }
    image.replaceWith(missing());
  });
  return image;
}
