// Hashes files ahead of their being sent, and asks the service which of them it has.

import { Cursor, needsBytes } from '../list.js'
import { CHANGED } from '../remedies.js'

const LARGEST = 64e6 // read into memory as a whole; a frame has 4 MB
// The service counts how often it is asked, so questions are saved up: a few at once, then 2 a second.
const A_QUESTION_MS = 500
const MOST_SAVED = 12
const GATHER_MS = 60
const TWINS_MS = 2000
const MOST_AT_ONCE = 5000

export async function sha256 (bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
  return Array.from(digest, byte => byte.toString(16).padStart(2, '0')).join('')
}

/** Whether a row is sent without its hash: an archive, or where the browser cannot hash. */
export function goesUnhashed (row) {
  return row.archive || row.bytes > LARGEST || !globalThis.crypto?.subtle
}

export class Hasher {
  #desk
  #cursor
  #toAsk = []
  #firstOf = new Map() // a content -> the row that is to bring it
  #saved = MOST_SAVED
  #counted = Date.now()

  constructor (desk) {
    this.#desk = desk
    this.#cursor = new Cursor(
      desk.list,
      row => row.state === 'queued' && !row.sha256 && !row.paused && !goesUnhashed(row),
      row => Boolean(row.sha256) || !needsBytes(row) || goesUnhashed(row)
    )
  }

  rewind () {
    this.#cursor.rewind()
  }

  /** A row of an earlier day, whose hash may be known; what was begun is continued without asking. */
  known (row) {
    if (row.state === 'queued' && row.sha256 && !row.url) this.#toAsk.push(row)
  }

  /** A step of each of the loops that hash. */
  async hashStep () {
    const { list, sources } = this.#desk
    if (this.#desk.isHeld) return false
    const row = this.#cursor.next()
    if (!row) return false
    list.change(row, { state: 'hashing' })
    let hash = null
    try {
      const file = await sources.open(row)
      if (file) hash = await sha256(await file.arrayBuffer())
    } catch {}
    if (row.state !== 'hashing') return true // removed meanwhile
    if (hash === null) {
      list.change(row, { state: 'lost', ...CHANGED })
      return true
    }
    list.change(row, { state: 'queued', sha256: hash })
    this.#toAsk.push(row)
    this.#desk.wake('ask')
    return true
  }

  /** A step of the loop that asks. */
  async askStep () {
    const { list, api, gate, sources } = this.#desk
    if (!gate.isOpen) return false
    const soon = this.#waitMs()
    if (soon > 0) return soon
    const [now, later] = this.#sorted()
    this.#toAsk = later
    if (now.length === 0) return later.length ? TWINS_MS : false
    this.#saved -= 1
    try {
      await api.sure()
      const { have } = await api.ask('/uploads/have', { method: 'POST', json: { sha256: now.map(row => row.sha256) } })
      gate.ok()
      const known = new Set(have)
      const here = now.filter(row => row.state === 'queued' && known.has(row.sha256))
      for (const row of now) row.checked = true
      for (const row of here) list.change(row, { state: 'duplicate', reason: 'already here' })
      await sources.drop(here)
    } catch (error) {
      if (error.kind === 'refused' && error.status < 500 && error.status !== 429) {
        for (const row of now) row.checked = true // then the service finds copies when it has them
      } else {
        this.#toAsk.unshift(...now)
        this.#desk.trouble(error)
      }
    }
    this.#desk.wake('send')
    return GATHER_MS
  }

  #waitMs () {
    const now = Date.now()
    this.#saved = Math.min(MOST_SAVED, this.#saved + (now - this.#counted) / A_QUESTION_MS)
    this.#counted = now
    return this.#saved >= 1 ? 0 : Math.ceil((1 - this.#saved) * A_QUESTION_MS)
  }

  /** Rows to ask about now, and those that wait for a row of the same content to be sent. */
  #sorted () {
    const { list } = this.#desk
    const now = []
    const later = []
    for (const row of this.#toAsk) {
      if (row.state !== 'queued' || row.checked || !list.get(row.id)) continue
      const first = this.#firstOf.get(row.sha256)
      const isTwin = first && first !== row && list.get(first.id) && needsBytes(first) && first.sha256 === row.sha256
      if (isTwin) later.push(row)
      else if (now.length < MOST_AT_ONCE) {
        this.#firstOf.set(row.sha256, row)
        now.push(row)
      } else later.push(row)
    }
    return [now, later]
  }
}
