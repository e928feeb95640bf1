// Where widgets' classes come from: base and anywidget are in this bundle, others are fetched when a widget of them
// occurs. All but controls are the nbextensions of the pip packages, so front end and Python always fit.

import anywidget from "nbextension:anywidget";
import * as base from "@jupyter-widgets/base";

export function makeModules({ addresses, root }) {
  const known = new Map([
    ["@jupyter-widgets/base", Promise.resolve(base)],
  ]);
  known.set("anywidget", run(anywidget));

  async function run(factory) {
    let made;
    // An AMD module says define(names, factory), or define(factory).
    factory((...told) => {
      const make = told.pop();
      const names = told.pop() ?? [];
      made = Promise.all(names.map(load)).then((parts) => (typeof make === "function" ? make(...parts) : make));
    });
    if (!made) throw new Error("the module defines nothing");
    return made;
  }

  function load(name) {
    if (!known.has(name)) {
      if (name === "@jupyter-widgets/controls") {
        known.set(name, import("./controls.js").then((module) => module.load()));
        return known.get(name);
      }
      if (!addresses[name]) {
        return Promise.reject(new Error(`Widgets of '${name}' are not part of this site's pages.`));
      }
      known.set(name, import(new URL(root + addresses[name], document.baseURI).href).then((module) => run(module.default)));
    }
    return known.get(name);
  }
  return load;
}
