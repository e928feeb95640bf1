// The law of the ledger as a picture: accepted = stacked + rejected + pending.

const BOOK_PARTS = [
  ["stacked", "stacked", "in a stack"],
  ["rejected", "rejected", "left out, each with its reason"],
  ["pending", "pending", "waiting for their stack"],
];

function booksPicture() {
  const bar = h("div.st-books-bar", { role: "img", "aria-label": "no frames so far" });
  const pieces = Object.fromEntries(BOOK_PARTS.map(([key]) => [key, h(`span.st-piece.st-${key}`)]));
  bar.append(...Object.values(pieces));
  const numbers = Object.fromEntries(["accepted", ...BOOK_PARTS.map(([key]) => key)].map((key) => [key,
    h("b", { dataset: { csKeep: key === "accepted" ? "frames" : key } })])); // shown at once at the next visit
  const term = (key, word, title) => h("span.st-term", { title },
    key === "accepted" ? null : h(`span.st-swatch.st-${key}`, { "aria-hidden": "true" }), numbers[key], ` ${word}`);
  const law = h("p.st-law", {}, term("accepted", "accepted", "frames that the service has taken"));
  BOOK_PARTS.forEach(([key, word, title], index) => {
    law.append(h("span.st-sign", {}, index ? "+" : "="), term(key, word, title));
  });
  const element = h("section.cs-card.st-books", { "aria-labelledby": "st-books-head" },
    h("h2", { id: "st-books-head" }, "Your frames"), law, bar);
  return {
    element,
    show(books) {
      for (const [key, number] of Object.entries(numbers)) setText(number, inWords(books[key]));
      for (const [key, piece] of Object.entries(pieces)) {
        piece.style.flexGrow = String(books[key]);
        piece.hidden = !books[key];
      }
      bar.classList.toggle("st-none", !books.accepted);
      setAttribute(bar, "aria-label", `${many(books.accepted, "frame")} accepted: `
        + BOOK_PARTS.map(([key, word]) => `${inWords(books[key])} ${word}`).join(", "));
    },
  };
}
