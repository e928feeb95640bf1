// What every page's front end begins with. A page is `export default page(draw)`, where
// draw({ model, el, site, onEnd }) fills `el`; `site` is window.crowdsky, or null outside of our pages.

/** An element. Text is always a text node: names of files and targets come from strangers. */
function h(tag, properties = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name || "div");
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "dataset") Object.assign(element.dataset, value);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Set a text only where it differs, so that nothing is drawn or read out anew. */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Set an attribute only where it differs; null takes it away. */
function setAttribute(element, name, value) {
  if (value === null || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== String(value)) {
    element.setAttribute(name, value === true ? "" : String(value));
  }
}

/** A drawing of 16 by 16, from the `d` of its path; strokes take the colour of the text. */
function icon(d) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const traits = { viewBox: "0 0 16 16", width: "16", height: "16", fill: "none", stroke: "currentColor",
    "stroke-width": "1.6", "stroke-linecap": "round", "stroke-linejoin": "round",
    "aria-hidden": "true", focusable: "false" };
  for (const [name, value] of Object.entries(traits)) svg.setAttribute(name, value);
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", d);
  svg.append(path);
  return svg;
}

/** 4420 -> "4,420". */
function inWords(number) {
  return String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** "1 file", "4,420 files". */
function many(number, one, several = `${one}s`) {
  return `${inWords(number)} ${number === 1 ? one : several}`;
}

/** Bytes as people count them: "17.1 GB". */
function bytesInWords(bytes) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (unit < units.length - 1 && Math.round(10 * value) >= 10000) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? inWords(value) : (Math.round(10 * value) / 10).toFixed(1)} ${units[unit]}`;
}

/** Seconds as a rough length of time: "12 minutes". */
function secondsInWords(seconds) {
  if (seconds < 60) return many(Math.max(1, Math.round(seconds)), "second");
  if (seconds < 5400) return many(Math.round(seconds / 60), "minute");
  const halves = Math.round(seconds / 1800);
  return `${halves % 2 ? (halves / 2).toFixed(1) : halves / 2} hours`;
}

/** What was thrown, in words with the next step. */
function errorInWords(error) {
  const kind = error && error.kind;
  if (kind === "signed-out") return "You are signed out. Log in and try again; nothing is lost.";
  if (kind === "offline") return "The server cannot be reached. Try again when you are online.";
  return `${(error && error.message) || error}`;
}

/** A page: says hello to its kernel, shows what failed, and draws. */
function page(draw) {
  return {
    render({ model, el }) {
      const ends = [];
      const onEnd = (end) => ends.push(end);
      const notice = h("div.cs-notice.cs-failure", { role: "alert", hidden: true });
      const body = h("div");
      const showFailure = () => {
        const text = model.get("failure") || "";
        setText(notice, text);
        notice.hidden = !text;
      };
      el.append(notice, body);
      model.on("change:failure", showFailure);
      onEnd(() => model.off("change:failure", showFailure));
      showFailure();
      try {
        draw({ model, el: body, site: window.crowdsky || null, onEnd });
      } catch (error) {
        setText(notice, `This page could not be drawn (${error.message}). Load it again.`);
        notice.hidden = false;
        throw error;
      }
      tell(model, { type: "hello", url: window.location.href, query: window.location.search });
      return () => ends.splice(0).forEach((end) => end());
    },
  };
}

/** Send to the kernel, which may be gone: a page that needs it hears that from the frame around it. */
function tell(model, message) {
  try {
    model.send(message);
  } catch (error) {
    console.warn("the page's kernel does not answer", error);
  }
}
