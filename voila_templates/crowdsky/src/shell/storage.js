// The browser's small stores, which can be forbidden or full: then nothing is remembered.

export function remember(key, value, store = "localStorage") {
  try {
    if (value === null) window[store].removeItem(key);
    else window[store].setItem(key, value);
  } catch {
    // Nothing depends on it.
  }
}

export function recall(key, store = "localStorage") {
  try {
    return window[store].getItem(key);
  } catch {
    return null;
  }
}

export function forgetFigures() {
  try {
    for (const key of Object.keys(localStorage)) if (key.startsWith("crowdsky-last-")) localStorage.removeItem(key);
  } catch {
    // As above.
  }
}
