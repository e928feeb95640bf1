// Sends rows, several at once, and decides what a failure means.

import { retryAfterS, sentence } from '../api.js'
import { SAY } from '../gate.js'
import { Cursor, needsBytes } from '../list.js'
import { CHANGED, remedyFor } from '../remedies.js'
import { goesUnhashed } from './hasher.js'
import { PART_BYTES, SendError, sendFile, Stopped } from './send_file.js'

const FULL_S = 30
const CLOSED_S = 60
const FIRST_RETRY_MS = 1000
const MOST_RETRY_MS = 60_000
const SLOWEST_BYTES_PER_S = 16_000
const PATIENCE_MS = 30_000
const BAD_GATEWAY = new Set([429, 502, 503, 504])

export class Sender {
  #desk
  #cursor
  #under = new Map() // row -> AbortController
  #again = new Map() // row -> {at, failures}

  constructor (desk) {
    this.#desk = desk
    this.#cursor = new Cursor(desk.list, row => this.#isReady(row), row => !needsBytes(row))
  }

  rewind () {
    this.#cursor.rewind()
  }

  /** Stop a row, or all: what has arrived stays with the service, and is continued. */
  stop (row = null) {
    for (const [one, abort] of this.#under) if (!row || one === row) abort.abort()
  }

  /** A row need not wait any longer. */
  hurry (row) {
    this.#again.delete(row)
  }

  /** A step of each of the loops that send. */
  async step () {
    const { list, gate, sources } = this.#desk
    if (this.#desk.isHeld || !gate.isOpen) return false
    const row = this.#cursor.next()
    if (!row) return this.#soonest()
    const abort = new AbortController()
    this.#under.set(row, abort)
    list.change(row, { state: 'uploading', reason: '', remedy: '' })
    let file = null
    try {
      file = await sources.open(row)
      if (!file) {
        list.change(row, { state: 'lost', ...CHANGED })
        return true
      }
      await this.#desk.api.sure()
      const told = await this.#send(row, file, abort.signal)
      this.#again.delete(row)
      gate.ok()
      await this.#desk.decide(row, told)
    } catch (error) {
      if (!row.url) this.#desk.adopter.doubt()
      // Back in the queue before anything else, whatever went wrong.
      if (row.state === 'uploading') list.change(row, { state: 'queued' })
      if (!(error instanceof Stopped) && list.get(row.id)) await this.#failed(row, file, error)
    } finally {
      this.#under.delete(row)
    }
    return true
  }

  async #send (row, file, signal) {
    const { api, list, store, rate, totals } = this.#desk
    if (!row.url) row.url = await this.#desk.adopt(row)
    let isFirst = !row.url
    return await sendFile(file, {
      endpoint: api.uploads,
      url: row.url,
      name: row.name,
      sha256: row.sha256,
      mark: this.#desk.mark,
      signal,
      timeoutMs: bytes => this.#timeoutMs(bytes),
      onUrl: async url => {
        if (!list.get(row.id)) return // removed meanwhile: it must not come back with the next page
        // A crash from here on continues this upload, begins no second one, and knows what may come twice.
        list.change(row, isFirst ? { url, high: Math.min(PART_BYTES, row.bytes) } : { url })
        await store.putRows([row])
      },
      onOffset: offset => {
        if (offset !== row.sent) list.change(row, { sent: offset })
      },
      onAcknowledged: bytes => {
        rate.add(bytes)
        this.#again.delete(row)
        this.#desk.gate.ok()
      },
      onPart: (from, to) => {
        if (!isFirst) totals.resentBytes += Math.max(0, Math.min(row.high, to) - from)
        if (to > row.high) list.change(row, { high: to })
        isFirst = false
      }
    })
  }

  #isReady (row) {
    return this.#canGo(row) && (this.#again.get(row)?.at ?? 0) <= Date.now()
  }

  /** Whether a row lacks nothing but its time. */
  #canGo (row) {
    if (row.state !== 'queued' || row.paused) return false
    return goesUnhashed(row) || Boolean(row.sha256 && (row.checked || row.url))
  }

  #soonest () {
    let at = Infinity
    for (const [row, again] of this.#again) {
      if (!this.#desk.list.get(row.id) || !needsBytes(row)) this.#again.delete(row)
      else if (this.#canGo(row)) at = Math.min(at, again.at) // whatever else it lacks wakes the loops when it comes
    }
    return at === Infinity ? false : Math.max(50, at - Date.now())
  }

  /** When a request is given up: a hung one would hold its place for ever. */
  #timeoutMs (bytes) {
    const perSlot = this.#desk.rate.bytesPerS / 8
    return PATIENCE_MS + (bytes / Math.max(perSlot, SLOWEST_BYTES_PER_S)) * 1000
  }

  async #failed (row, file, error) {
    const { gate, list, sources } = this.#desk
    if (error.kind) return this.#desk.trouble(error) // of the API, before anything was sent
    if (!(error instanceof SendError)) {
      console.error(error)
      return this.#later(row)
    }
    const { method, status } = error
    const said = sentence(status, error.body)
    const seconds = retryAfterS(error.retryAfter)
    if (status === 0) {
      // A file that cannot be read any more looks like a network that is away.
      if (file && await sources.open(row) === null) list.change(row, { state: 'lost', ...CHANGED })
      else gate.wait()
    } else if (status === 401) {
      gate.signedOut()
    } else if (status === 507) {
      gate.wait(said, seconds ?? FULL_S)
    } else if (BAD_GATEWAY.has(status)) {
      gate.wait(SAY.busy, seconds)
    } else if (status === 403) {
      this.#desk.api.doubt()
      gate.wait(said, CLOSED_S)
    } else if (status === 404 || status === 410) {
      await this.#gone(row, method)
    } else if (status === 409 || status === 423 || status === 460 || status >= 500) {
      this.#later(row)
    } else {
      list.change(row, { state: 'refused', reason: said, remedy: remedyFor(said) })
      await sources.drop([row])
    }
  }

  /** The upload is gone, or somebody else is signed in now, for whom it never was. */
  async #gone (row, method) {
    const { api, gate, list } = this.#desk
    api.doubt()
    try {
      await api.sure()
    } catch (error) {
      return this.#desk.trouble(error)
    }
    if (row.url) this.#desk.requeue(row)
    else this.#later(row)
    if (method === 'POST') gate.wait(SAY.busy)
  }

  #later (row) {
    const failures = (this.#again.get(row)?.failures ?? 0) + 1
    const ms = Math.min(MOST_RETRY_MS, FIRST_RETRY_MS * 2 ** (failures - 1))
    this.#again.set(row, { failures, at: Date.now() + ms * (0.75 + Math.random() / 2) })
  }
}
