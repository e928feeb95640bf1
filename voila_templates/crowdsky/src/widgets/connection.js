// The line to the kernel: opened, watched, mended, and its end told.
//
// KernelConnection tries again by itself, but it waits long after a failure and gives up after seven. So a lost line
// is looked into here as well: by asking for the kernel, which tells a dead one from a server that is away.

import { KernelConnection } from "@jupyterlab/services/lib/kernel/default.js";
import { ServerConnection } from "@jupyterlab/services/lib/serverconnection.js";

const PAUSES_MS = [500, 1000, 2000, 4000, 8000, 8000, 8000];
const LONG_PAUSE_MS = 20000;
// A hiccup shorter than this is mended before anybody needs to know.
const TOLD_AFTER_MS = 1500;

export function connect({ id, server, trouble }) {
  const origin = location.origin;
  const settings = ServerConnection.makeSettings({
    baseUrl: origin + server,
    wsUrl: origin.replace(/^http/, "ws") + server,
    appendToken: false,
    token: "",
  });
  const kernel = new KernelConnection({
    model: { id, name: "python3" },
    serverSettings: settings,
    // The server lets comm messages through and nothing else; subshells would be asked for on the control channel.
    commsOverSubshells: "disabled",
  });
  const address = `${server}api/kernels/${encodeURIComponent(id)}`;
  let mending = false;
  let ended = false;

  // "alive", "dead", "signed-out" or "unreachable"
  async function probe() {
    try {
      const answer = await fetch(address, { cache: "no-store", redirect: "manual", signal: AbortSignal.timeout(8000) });
      if (answer.ok) return "alive";
      if (answer.status === 404 || answer.status === 410) return "dead";
      // A redirect leads to the login form.
      if (answer.type === "opaqueredirect" || answer.status === 401 || answer.status === 403) return "signed-out";
    } catch {
      // As below.
    }
    return "unreachable";
  }

  function end(kind) {
    if (ended) return;
    ended = true;
    trouble.hide();
    trouble.show(kind);
    kernel.dispose();
  }

  async function mend() {
    if (mending || ended) return;
    mending = true;
    const told = setTimeout(() => trouble.show("lost"), TOLD_AFTER_MS);
    for (let attempt = 0; !ended && kernel.connectionStatus !== "connected"; attempt += 1) {
      await new Promise((resolve) => setTimeout(resolve, PAUSES_MS[attempt] ?? LONG_PAUSE_MS));
      if (ended || kernel.connectionStatus === "connected") break;
      const found = await probe();
      if (found === "dead" || found === "signed-out") end(found);
      else if (found === "alive") await Promise.race([kernel.reconnect(), pause(4000)]).catch(() => {});
      else if (attempt >= PAUSES_MS.length) {
        trouble.hide("lost");
        trouble.show("unreachable");
      }
    }
    clearTimeout(told);
    if (!ended) trouble.hide("lost", "unreachable");
    mending = false;
  }

  kernel.connectionStatusChanged.connect((_, status) => {
    if (status !== "connected") mend();
  });
  kernel.statusChanged.connect((_, status) => {
    // A kernel that the server has started anew knows none of this page's widgets.
    if (status === "dead" || status === "restarting" || status === "autorestarting") end("dead");
  });
  // Back from sleep or from another tab: a socket that died meanwhile does not always say so.
  document.addEventListener("visibilitychange", async () => {
    if (document.visibilityState !== "visible" || ended) return;
    if (kernel.connectionStatus !== "connected") return void mend();
    const found = await probe();
    if (found === "dead" || found === "signed-out") end(found);
    else if (found === "alive") await answersOrMends();
  });

  async function answersOrMends() {
    const answered = await Promise.race([kernel.requestKernelInfo().then(() => true, () => false), pause(5000)]);
    if (!answered && !ended) await kernel.reconnect().catch(() => {});
  }
  // The kernel is of no use to anybody once the page is gone.
  addEventListener("pagehide", (event) => {
    if (event.persisted || ended) return;
    ended = true;
    navigator.sendBeacon(`${server}voila/api/shutdown/${encodeURIComponent(id)}`);
  });
  return { kernel, end };
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
