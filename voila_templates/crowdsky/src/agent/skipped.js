// How many files were set aside, by reason. A file counts once, however often it is added.

export class Skipped {
  count = 0
  #by = new Map() // reason -> set of paths, as hashes

  static from (kept) {
    const skipped = new Skipped()
    for (const [reason, hashes] of kept ?? []) {
      skipped.#by.set(reason, new Set(hashes))
      skipped.count += hashes.length
    }
    return skipped
  }

  add (path, reason) {
    if (!this.#by.has(reason)) this.#by.set(reason, new Set())
    const paths = this.#by.get(reason)
    const before = paths.size
    paths.add(hashOf(path))
    this.count += paths.size - before
  }

  get reasons () {
    return [...this.#by].map(([reason, paths]) => ({ reason, files: paths.size })).sort((a, b) => b.files - a.files)
  }

  /** What is written down. */
  get kept () {
    return [...this.#by].map(([reason, paths]) => [reason, Float64Array.from(paths)])
  }
}

/** 53 bits of a text: two paths of one night will not share them. */
function hashOf (text) {
  let low = 0xdeadbeef
  let high = 0x41c6ce57
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    low = Math.imul(low ^ code, 2654435761)
    high = Math.imul(high ^ code, 1597334677)
  }
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909)
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909)
  return 4294967296 * (2097151 & high) + (low >>> 0)
}
