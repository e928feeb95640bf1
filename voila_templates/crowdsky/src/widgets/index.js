// Draws the widgets of a page that has a kernel.

import css from "css:./styles.css";
import { connect } from "./connection.js";
import { Manager } from "./manager.js";
import { makeModules } from "./modules.js";

const read = (id) => JSON.parse(document.getElementById(id)?.textContent ?? "null");

async function start() {
  const config = read("crowdsky-config");
  const { id, server } = read("crowdsky-kernel");
  const style = document.createElement("style");
  style.textContent = css;
  document.head.prepend(style);

  // The line to the kernel is laid while the shell finds out who is here.
  const early = [];
  const later = { show: (kind) => early.push(kind), hide: () => early.splice(0) };
  const line = connect({
    id,
    server,
    trouble: { show: (kind) => later.show(kind), hide: (...kinds) => later.hide(...kinds) },
  });
  const load = makeModules({ addresses: config.modules, root: config.static });
  const manager = new Manager(line.kernel, load);
  const { trouble } = await window.crowdskyReady;
  Object.assign(later, trouble);
  early.forEach((kind) => trouble.show(kind));

  await manager.restore();
  const places = [...document.querySelectorAll('script[type="application/vnd.jupyter.widget-view+json"]')];
  const shown = await Promise.allSettled(
    places.map((script) => manager.display(JSON.parse(script.textContent).model_id, script.parentElement)),
  );
  for (const { reason } of shown.filter((one) => one.status === "rejected")) console.error(reason);
  if (shown.some((one) => one.status === "rejected") && !trouble.now()) trouble.show("broken");
  document.getElementById("cs-outputs").hidden = false;
  document.getElementById("cs-waiting")?.remove();
  document.documentElement.dataset.csReady = "yes";
  performance.mark("crowdsky-ready");
}

start().catch((error) => {
  console.error(error);
  window.crowdskyReady.then(({ trouble }) => trouble.now() || trouble.show("broken"));
});
