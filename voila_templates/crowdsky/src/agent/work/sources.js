// Where the bytes of a row are: in the browser's store, or in a file that is only held in memory.

export class Sources {
  #held = new Map()
  #store
  #list

  constructor (store, list) {
    this.#store = store
    this.#list = list
  }

  hold (row, file) {
    this.#held.set(row.id, file)
  }

  held (row) {
    return this.#held.get(row.id)
  }

  has (row) {
    return row.stored || this.#held.has(row.id)
  }

  /** The bytes, or null where nobody has them any more. */
  async open (row) {
    const held = this.#held.get(row.id)
    if (held && await isReadable(held)) return held
    this.#held.delete(row.id)
    const stored = row.stored ? await this.#store.blob(row.id) : null
    return stored && await isReadable(stored) ? stored : null
  }

  /** The store has it now: the file may be moved or unplugged. */
  letGo (row) {
    this.#held.delete(row.id)
  }

  /** The service has it now. */
  async drop (rows) {
    for (const row of rows) this.#held.delete(row.id)
    const stored = rows.filter(row => row.stored)
    for (const row of stored) row.stored = false
    // That it has them is written down first: a crash must not leave a row that asks for bytes which are gone.
    const known = rows.filter(row => this.#list.get(row.id))
    await this.#store.putRows(known).catch(error => console.warn('written down later', error))
    if (stored.length) await this.#store.dropBlobs(stored.map(row => row.id))
  }
}

/** Whether a file can still be read; one that was moved or changed cannot. */
export async function isReadable (file) {
  try {
    await file.slice(Math.max(0, file.size - 1)).arrayBuffer()
    return true
  } catch {
    return false
  }
}
