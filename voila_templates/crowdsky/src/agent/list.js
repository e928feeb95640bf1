// The list of files in memory: light rows in their order, with counts that are kept, never recounted.

export const STATES = ['queued', 'hashing', 'uploading', 'received', 'accepted', 'duplicate', 'refused', 'lost']
const WORK = new Set(['queued', 'hashing', 'uploading', 'received'])
const SENT = new Set(['received', 'accepted', 'duplicate'])
const TAKEN = new Set(['accepted', 'duplicate'])
const NEEDS_BYTES = new Set(['queued', 'hashing', 'uploading'])

export const isWork = row => WORK.has(row.state)
export const isTaken = row => TAKEN.has(row.state)
export const needsBytes = row => NEEDS_BYTES.has(row.state)
export const isProblem = row => row.state === 'refused' || row.state === 'lost' || (row.inside?.refused ?? 0) > 0

/** What tells a file from others: the same file added twice has one row. */
export function keyOf ({ path, bytes, lastModified }) {
  return `${path}\n${bytes}\n${lastModified}`
}

export class FileList {
  rows = []
  counts = Object.fromEntries(STATES.map(state => [state, 0]))
  bytes = 0 // of all that is not refused
  sentBytes = 0
  unsafe = 0 // rows whose bytes would be lost with this process
  fresh = 0 // taken by the service and not finalised
  held = 0 // work that is paused by its own
  version = 0 // grows with every change
  factsVersion = 0 // grows when rows come or go
  changed = new Set() // rows that are not written down yet
  onChange = () => {}
  #byId = new Map()
  #byKey = new Map()
  #problems = null

  get length () {
    return this.rows.length
  }

  get (id) {
    return this.#byId.get(id)
  }

  /** The row of a file, if it is listed; `mark` tells apart what has one path, size and date. */
  find (file) {
    const found = this.#byKey.get(keyOf(file))
    if (!found || found.mark === file.mark) return found
    return this.#byKey.get(`${keyOf(file)}\n${file.mark}`)
  }

  add (row) {
    const key = keyOf(row)
    this.rows.push(row)
    this.#byId.set(row.id, row)
    this.#byKey.set(this.#byKey.has(key) ? `${key}\n${row.mark}` : key, row)
    this.#weigh(row, 1)
    this.#came()
  }

  /** Change a row; what is changed is written down soon (see `changed`). */
  change (row, patch) {
    if (!this.#byId.has(row.id)) return
    this.#weigh(row, -1)
    const wasProblem = isProblem(row)
    Object.assign(row, patch)
    this.#weigh(row, 1)
    if (wasProblem || isProblem(row)) this.#problems = null
    this.changed.add(row)
    this.version += 1
    this.onChange()
  }

  remove (rows) {
    const gone = new Set(rows)
    for (const row of gone) {
      this.#weigh(row, -1)
      this.#byId.delete(row.id)
      this.changed.delete(row)
    }
    this.rows = this.rows.filter(row => !gone.has(row))
    this.#byKey = new Map()
    for (const row of this.rows) {
      const key = keyOf(row)
      this.#byKey.set(this.#byKey.has(key) ? `${key}\n${row.mark}` : key, row)
    }
    this.#came()
  }

  get problems () {
    this.#problems ??= this.rows.filter(isProblem)
    return this.#problems
  }

  get work () {
    const { queued, hashing, uploading, received } = this.counts
    return queued + hashing + uploading + received
  }

  /** Rows that have reached the service. */
  get sentFiles () {
    const { received, accepted, duplicate } = this.counts
    return received + accepted + duplicate
  }

  #came () {
    this.#problems = null
    this.version += 1
    this.factsVersion += 1
  }

  #weigh (row, sign) {
    this.counts[row.state] += sign
    if (row.state !== 'refused') {
      this.bytes += sign * row.bytes
      this.sentBytes += sign * (SENT.has(row.state) ? row.bytes : row.sent)
    }
    if (needsBytes(row) && !row.stored) this.unsafe += sign
    if (isTaken(row) && !row.finalised) this.fresh += sign
    if (isWork(row) && row.paused) this.held += sign
  }
}

/** Looks for the first row that fits, without looking again at those that are done. */
export class Cursor {
  #list
  #fits
  #done
  #at = 0
  position = -1 // of the row that was found last

  /** `done` says whether a row will not fit again unless `rewind` is called. */
  constructor (list, fits, done) {
    this.#list = list
    this.#fits = fits
    this.#done = done
  }

  next () {
    const { rows } = this.#list
    while (this.#at < rows.length && this.#done(rows[this.#at])) this.#at += 1
    for (let at = this.#at; at < rows.length; at++) {
      if (!this.#fits(rows[at])) continue
      this.position = at
      return rows[at]
    }
    return null
  }

  rewind () {
    this.#at = 0
  }
}
