// ipywidgets' own controls and their looks, for pages that use them.

import css from "css:./controls.css";
import * as controls from "@jupyter-widgets/controls";

export function load() {
  const style = document.createElement("style");
  style.textContent = css;
  document.head.prepend(style);
  return controls;
}
