// The shell of every page: colours, visitor, upload agent and its chip, and `window.crowdsky` for the widgets.

import { createAgent } from "../agent/index.js";
import { startChip } from "./chip.js";
import { readConfig } from "./config.js";
import { makeFetchApi, withProof } from "./fetch_api.js";
import { keepFigures } from "./last.js";
import { startTheme } from "./theme.js";
import { makeTrouble } from "./trouble.js";
import { askVisitor, watchLogout, watchMenu } from "./visitor.js";

const PUBLIC = ["splash", "privacy"];
const at = (id) => document.getElementById(id);

async function start() {
  const config = readConfig(document);
  const early = window.crowdskyEarly?.name ?? "";
  const trouble = makeTrouble(at("cs-trouble"), config);
  const fetchApi = makeFetchApi(config);
  startTheme(at("cs-theme"));
  watchMenu(at("cs-who"));
  watchLogout(at("cs-logout"), {
    fetchLogout: async () =>
      fetch(`${config.api}/logout`, await withProof(config, { method: "POST", signal: AbortSignal.timeout(3000) })),
  });

  const { name, problem } = await askVisitor({ config, early, fetchApi });
  if (problem && !PUBLIC.includes(config.page)) trouble.show(problem === "offline" ? "unreachable" : problem);

  // Without the service's word the agent still opens the last visitor's queue, to show it; it sends nothing meanwhile.
  const user = name || (problem === "offline" ? early : "");
  let agent = null;
  try {
    const worker = config.workers.agent_worker;
    const workerUrl = worker ? new URL(config.static + worker, location.href).href : "";
    agent = createAgent({ user, api: config.api, base: config.base, fetchApi, workerUrl });
  } catch (error) {
    console.error("The upload agent did not start", error);
  }
  window.crowdsky = { agent, user, base: config.base, api: config.api, fetchApi, page: config.page, trouble };
  startChip({ agent, chip: at("cs-upload"), announce: at("cs-announce") });
  keepFigures({ page: config.page, user });
  return window.crowdsky;
}

// Widgets wait for this before they are drawn.
window.crowdskyReady = start();
