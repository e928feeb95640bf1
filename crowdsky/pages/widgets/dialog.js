// A question before something that cannot be undone, and a voice for screen readers.

let dialogNumber = 0;

/** Ask once. Esc and Cancel say no; the focus goes back to where it was. */
function askFirst({ title, lines, button }) {
  return new Promise((resolve) => {
    dialogNumber += 1;
    const [headId, textId] = [`cs-ask-${dialogNumber}`, `cs-ask-text-${dialogNumber}`];
    const before = document.activeElement;
    const cancel = h("button.cs-button", { type: "button" }, "Cancel");
    const yes = h("button.cs-button.cs-danger", { type: "button" }, button);
    const dialog = h("dialog.cs-ask", { "aria-labelledby": headId, "aria-describedby": textId },
      h("h2", { id: headId }, title),
      h("div", { id: textId }, ...lines.map((line) => h("p", {}, line))),
      h("div.cs-ask-buttons", {}, cancel, yes));
    let answer = false;
    yes.addEventListener("click", () => { answer = true; dialog.close(); });
    cancel.addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (before && before.isConnected) before.focus();
      resolve(answer);
    });
    document.body.append(dialog);
    dialog.showModal();
    cancel.focus();
  });
}

/** Tells screen readers what happened, politely; the same words twice are read twice. */
function announcer() {
  const element = h("div.cs-visually-hidden", { "aria-live": "polite", "aria-atomic": "true" });
  let timer = 0;
  let waiting = [];
  return {
    element,
    say(text) {
      waiting.push(text);
      window.clearTimeout(timer);
      element.textContent = "";
      timer = window.setTimeout(() => {
        element.textContent = waiting.length > 3 ? `${waiting.length} changes: ${waiting.slice(-2).join(" ")}` : waiting.join(" ");
        waiting = [];
      }, 120);
    },
  };
}
