// Requests to the service, with the visitor's cookie.
//
// The service's session ends before the Hub's does, so a 401 is first answered by going through the Hub's sign-in out
// of sight; it ends at JSON if the Hub still knows the visitor, and at a login form if not.

export class ApiError extends Error {
  // kind: "signed-out" or "offline"
  constructor(kind, message) {
    super(message);
    this.name = "ApiError";
    this.kind = kind;
  }
}

// A request that changes something, made ready to be sent: without HTTPS browsers do not say by themselves which page it
// comes from, so it shows the token that only a page of this site can read.
export async function withProof({ api, fetch = globalThis.fetch.bind(globalThis) }, init) {
  if (["GET", "HEAD"].includes(init.method ?? "GET") || globalThis.isSecureContext) return init;
  const answer = await fetch(`${api}/me`, { credentials: "same-origin", cache: "no-store", signal: init.signal });
  const { csrf } = answer.ok ? await answer.json() : {};
  return csrf ? { ...init, headers: { ...init.headers, "X-CSRF-Token": csrf } } : init;
}

export function makeFetchApi({ api, fetch = globalThis.fetch.bind(globalThis) }) {
  const login = `${api.replace(/\/api\/v1$/, "")}/login?next=${encodeURIComponent(`${api}/me`)}`;
  let signingIn = null;

  async function send(address, init) {
    try {
      return await fetch(address, { credentials: "same-origin", ...(await withProof({ api, fetch }, init)) });
    } catch (error) {
      if (error?.name === "AbortError" || error?.name === "TimeoutError") throw error;
      throw new ApiError("offline", "The server cannot be reached.");
    }
  }

  async function signIn() {
    const answer = await send(login, { redirect: "follow", headers: { Accept: "application/json" } });
    return answer.ok && (answer.headers.get("content-type") ?? "").includes("json");
  }

  // path: below the API ("/jobs"), or an address of this site that begins with the API's. Answers of every status
  // but 401 are the caller's to read.
  return async function fetchApi(path, init = {}) {
    const address = path.startsWith(api) ? path : `${api}/${path.replace(/^\//, "")}`;
    const answer = await send(address, init);
    if (answer.status !== 401) return answer;
    // Requests that fail together sign in once.
    signingIn ??= signIn().finally(() => {
      signingIn = null;
    });
    const signedIn = await signingIn;
    const again = signedIn && (await send(address, init));
    if (again && again.status !== 401) return again;
    throw new ApiError("signed-out", "You are logged out.");
  };
}
