// The parts of the shell that need no page.

import assert from "node:assert/strict";
import { test } from "node:test";
import { chipOf, newsOf, timeLeft } from "../../voila_templates/crowdsky/src/shell/chip.js";
import { makeFetchApi } from "../../voila_templates/crowdsky/src/shell/fetch_api.js";

const API = "/services/crowdsky/api/v1";
const none = { quarter: -1, problems: 0 };
const snapshot = (more) => ({ state: "uploading", bytes: 1000, sentBytes: 0, secondsLeft: null, counts: {}, ...more });
const json = (body, status = 200) =>
  new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json" } });

test("time left in words", () => {
  assert.equal(timeLeft(3), "5 s left");
  assert.equal(timeLeft(42), "45 s left");
  assert.equal(timeLeft(61), "2 min left");
  assert.equal(timeLeft(3660), "1 h 01 min left");
  assert.equal(timeLeft(null), "");
  assert.equal(timeLeft(Infinity), "");
});

test("100 % is said only of what is complete", () => {
  assert.equal(chipOf(snapshot({ sentBytes: 999 })).text, "99 %");
  const half = chipOf(snapshot({ sentBytes: 500, secondsLeft: 70 }));
  assert.equal(half.text + half.more, "50 % · 2 min left");
  assert.equal(chipOf(snapshot({ state: "done", sentBytes: 1000 })), null);
  assert.equal(chipOf(snapshot({ state: "empty" })), null);
  assert.equal(chipOf(snapshot({ state: "signed-out" })).mood, "trouble");
});

test("each quarter is said once", () => {
  const heard = [];
  let said = none;
  for (const sentBytes of [0, 10, 240, 250, 260, 700, 999]) {
    const news = newsOf(snapshot({ sentBytes }), said);
    said = news.said;
    heard.push(...news.words);
  }
  const last = newsOf(snapshot({ state: "done", sentBytes: 1000 }), said);
  assert.deepEqual(
    [...heard, ...last.words],
    ["Upload 0 percent.", "Upload 25 percent.", "Upload 50 percent.", "Upload 75 percent.", "Upload complete, 100 percent."],
  );
});

test("only the first error is said", () => {
  const first = newsOf(snapshot({ counts: { refused: 1 } }), { quarter: 0, problems: 0 });
  assert.equal(first.words.length, 1);
  assert.equal(newsOf(snapshot({ counts: { refused: 2 } }), first.said).words.length, 0);
});

test("a session that ended is renewed out of sight, once for all that failed", async () => {
  const asked = [];
  let signedIn = false;
  const fetchApi = makeFetchApi({
    api: API,
    fetch: async (address) => {
      asked.push(address);
      if (address.includes("/login")) {
        signedIn = true;
        return json({ name: "ann" });
      }
      return signedIn ? json({ ok: true }) : json({}, 401);
    },
  });
  const answers = await Promise.all([fetchApi("/jobs"), fetchApi(`${API}/me`)]);
  assert.deepEqual(answers.map((one) => one.status), [200, 200]);
  const login = `/services/crowdsky/login?next=${encodeURIComponent(`${API}/me`)}`;
  assert.deepEqual(asked, [`${API}/jobs`, `${API}/me`, login, `${API}/jobs`, `${API}/me`]);
});

test("without HTTPS a request that changes something shows where it comes from", async () => {
  const shown = [];
  const fetchApi = makeFetchApi({
    api: API,
    fetch: async (address, { method = "GET", headers = {} } = {}) => {
      shown.push([method, address, headers["X-CSRF-Token"]]);
      return json(address.endsWith("/me") ? { name: "ann", csrf: "t" } : {});
    },
  });
  await fetchApi("/downloads", { method: "POST", headers: { Accept: "x" } });
  await fetchApi("/jobs");
  assert.deepEqual(shown, [
    ["GET", `${API}/me`, undefined], ["POST", `${API}/downloads`, "t"], ["GET", `${API}/jobs`, undefined],
  ]);
});

test("a login form means signed out", async () => {
  const form = new Response("<form>", { headers: { "content-type": "text/html" } });
  const fetchApi = makeFetchApi({
    api: API,
    fetch: async (address) => (address.includes("/login") ? form : json({}, 401)),
  });
  await assert.rejects(fetchApi("/jobs"), { kind: "signed-out" });
});

test("no network is told apart, an aborted request is not", async () => {
  const offline = makeFetchApi({ api: API, fetch: () => Promise.reject(new TypeError("Failed to fetch")) });
  await assert.rejects(offline("/jobs"), { kind: "offline" });
  const aborted = makeFetchApi({ api: API, fetch: () => Promise.reject(new DOMException("stop", "AbortError")) });
  await assert.rejects(aborted("/jobs"), { name: "AbortError" });
});

test("other answers are the caller's", async () => {
  const fetchApi = makeFetchApi({ api: API, fetch: async () => json({ error: "x" }, 409) });
  assert.equal((await fetchApi("/jobs")).status, 409);
});
