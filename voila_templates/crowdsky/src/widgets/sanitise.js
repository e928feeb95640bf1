// Stands in for sanitize-html, which weighs as much as the rest of the page: the browser parses, and what is not on
// the list goes. The manager uses it for labels of widgets.

export default function sanitise(html, { allowedTags = [], allowedAttributes = {} } = {}) {
  const parsed = new DOMParser().parseFromString(`<body>${html}</body>`, "text/html");
  const allowed = (tag, name) =>
    [...(allowedAttributes["*"] ?? []), ...(allowedAttributes[tag] ?? [])].some((rule) =>
      rule.endsWith("*") ? name.startsWith(rule.slice(0, -1)) : name === rule,
    );
  for (const element of [...parsed.body.querySelectorAll("*")]) {
    const tag = element.localName;
    if (!allowedTags.includes(tag)) {
      if (["script", "style", "template", "noscript", "iframe", "object"].includes(tag)) element.remove();
      else element.replaceWith(...element.childNodes);
      continue;
    }
    for (const { name, value } of [...element.attributes]) {
      const address = name === "href" || name === "src";
      if (!allowed(tag, name) || (address && !/^(https?:|mailto:|data:image\/|[./#?])/i.test(value.trim()))) {
        element.removeAttribute(name);
      }
    }
  }
  return parsed.body.innerHTML;
}
