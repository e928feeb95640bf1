// The box that says what is wrong with the page as a whole, and the next step.

const TROUBLES = {
  lost: {
    tone: "warn",
    title: "Connection lost",
    text: "Trying to reach the server again. Uploads go on as soon as it answers.",
  },
  unreachable: {
    tone: "bad",
    title: "The server cannot be reached",
    text: "It goes on being tried. Check your network, or reload. Files that were being uploaded are kept.",
    action: "reload",
  },
  dead: {
    tone: "bad",
    title: "This page has ended",
    text: "The server let go of it, as it does with pages left alone for long or when it is restarted. Nothing is lost: reload to go on.",
    action: "reload",
  },
  broken: {
    tone: "bad",
    title: "A part of this page could not be shown",
    text: "Reload the page. If that does not help, tell the people who run this site.",
    action: "reload",
  },
  "signed-out": {
    tone: "warn",
    title: "You are logged out",
    text: "Log in again to go on where you were. Files that were being uploaded are kept.",
    action: "login",
  },
};

export function makeTrouble(box, { hub }) {
  let shown = "";

  function show(kind) {
    if (!box || shown === kind || !TROUBLES[kind]) return;
    shown = kind;
    const { tone, title, text, action } = TROUBLES[kind];
    const heading = Object.assign(document.createElement("h2"), { textContent: title });
    const told = Object.assign(document.createElement("p"), { textContent: text });
    box.replaceChildren(heading, told);
    if (action) {
      const row = document.createElement("div");
      row.className = "cs-row";
      let next;
      if (action === "login") {
        const back = encodeURIComponent(location.pathname + location.search);
        next = Object.assign(document.createElement("a"), { href: `${hub}login?next=${back}`, textContent: "Log in" });
      } else {
        next = Object.assign(document.createElement("button"), { type: "button", textContent: "Reload" });
        next.dataset.csReload = "";
      }
      next.className = "cs-button cs-primary";
      row.append(next);
      box.append(row);
    }
    box.className = `cs-notice cs-${tone} cs-trouble`;
    box.dataset.kind = kind;
    box.hidden = false;
    // Somebody who has scrolled down must see it too.
    box.scrollIntoView({ block: "nearest" });
  }

  function hide(...kinds) {
    if (!box || (kinds.length && !kinds.includes(shown))) return;
    shown = "";
    box.hidden = true;
    box.replaceChildren();
  }

  return { show, hide, now: () => shown };
}
