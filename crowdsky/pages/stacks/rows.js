// A row of the table: one stack.

const STACK_COLUMNS = [
  { key: "picture", title: "Picture", hidden: true }, { key: "target", title: "Target" }, { key: "time", title: "Time (UTC)" },
  { key: "position", title: "Position" }, { key: "filter", title: "Filter" }, { key: "telescope", title: "Telescope" },
  { key: "frames", title: "Frames" }, { key: "exposure", title: "Exposure" }, { key: "size", title: "Size" },
  { key: "file", title: "File", hidden: true },
];
const DOWN = "M8 2.5v8M4.8 7.6 8 10.8l3.2-3.2M2.5 13.2h11";

function stackRow(stack) {
  const name = stack.target || "No target";
  const target = h("th.cs-col-target", { role: "rowheader", scope: "row" }, h("span.sk-target", {}, name),
    h("span.sk-label", {}, stack.mine || !stack.observer ? stack.label || "" : `by ${stack.observer}`));
  const file = h("td.cs-col-file", { role: "cell" }, h("a.cs-button.cs-small", { href: stackUrl(stack.id, "file"), download: "",
    "aria-label": `Download FITS of stack ${stack.id}` }, icon(DOWN), h("span", {}, "FITS")));
  const element = h("tr.sk-stack", { role: "row", dataset: { stack: stack.id } }, target, file);
  const cell = (key, label, ...children) => h(`td.cs-col-${key}`, { role: "cell", dataset: { label } }, ...children);

  function fill() {
    const picture = stackPicture(stack.id, "thumbnail", "", () => h("span.sk-none"));
    element.prepend(h("td.cs-col-picture", { role: "cell" }, h("a", { href: stackUrl(stack.id, "preview"), target: "_blank", rel: "noopener",
      "aria-label": `Preview of stack ${stack.id}, ${name}` }, picture)));
    const frames = stack.n === undefined ? "–" : `${inWords(stack.used || 0)} of ${inWords(stack.n)}`;
    file.before(
      cell("time", "Time", ...(stack.from && stack.to ? [spanElement(stack.from, stack.to)] : ["–"])),
      cell("position", "Position", ...(stack.position ? stack.position.split("  ").map((part) => h("span.cs-nowrap", {}, `${part} `)) : [h("span.cs-dim", {}, "not solved")])),
      cell("filter", "Filter", stack.filter || "–"),
      cell("telescope", "Telescope", stack.telescope || "–"),
      cell("frames", "Frames", frames),
      cell("exposure", "Exposure", stack.total_s ? duration(stack.total_s) : "–"),
      cell("size", "Size", stack.bytes ? bytesInWords(stack.bytes) : "–"));
  }
  return { element, fill, update() {} };
}
