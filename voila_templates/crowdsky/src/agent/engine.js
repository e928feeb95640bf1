// The queue of one observer: whoever holds it is the only one who sends.

import { Api } from './api.js'
import { Finaliser } from './finaliser.js'
import { Gate, SAY } from './gate.js'
import { FileList, needsBytes } from './list.js'
import { Loop } from './loop.js'
import { LOST } from './remedies.js'
import { Rate } from './rate.js'
import { Merge } from './scan/merge.js'
import { Skipped } from './skipped.js'
import { makeSnapshot } from './snapshot.js'
import { isFull } from './store.js'
import { Summary } from './summary.js'
import { Adopter } from './work/adopter.js'
import { Hasher } from './work/hasher.js'
import { Outcomes } from './work/outcomes.js'
import { Sender } from './work/sender.js'
import { Sources } from './work/sources.js'
import { Storer } from './work/storer.js'

const SENDERS = 4
const HASHERS = 2
const FLUSH_MS = 150
const SNAPSHOT_MS = 125

export class Engine {
  list = new FileList()
  rate = new Rate()
  totals = { paused: false, resentBytes: 0, receipt: null, answer: null, terminate: [] }
  skipped = new Skipped()
  scans = new Map() // those under way
  cutScan = null // a scan that its page did not finish
  mark = ''
  #nextId = 1
  #loops = {}
  #told = 0
  #telling = null
  #onSnapshot

  /**
   * @param {object} how
   * @param {string} how.user whose queue this is
   * @param {string} how.api absolute address of the API
   * @param {Store | NoStore} how.store
   * @param {string} how.where `shared-worker` or `page`
   * @param {boolean} how.outlivesPages whether files in memory survive a change of pages
   * @param {(snapshot: object) => void} how.onSnapshot
   */
  constructor ({ user, api, store, where, outlivesPages, onSnapshot }) {
    Object.assign(this, { user, store, where, outlivesPages })
    this.#onSnapshot = onSnapshot
    this.api = new Api(api, user)
    this.gate = new Gate(() => this.api.signIn(), () => this.#gateChanged())
    this.sources = new Sources(store, this.list)
    this.summaries = new Summary(this.list)
    this.storer = new Storer(this)
    this.hasher = new Hasher(this)
    this.sender = new Sender(this)
    this.outcomes = new Outcomes(this)
    this.adopter = new Adopter(this)
    this.merge = new Merge(this)
    this.finaliser = new Finaliser(this)
    this.#loops = {
      store: [new Loop(() => this.storer.step())],
      hash: many(HASHERS, () => this.hasher.hashStep()),
      ask: [new Loop(() => this.hasher.askStep())],
      send: many(SENDERS, () => this.sender.step()),
      look: [new Loop(() => this.outcomes.step())],
      end: [new Loop(() => this.adopter.terminateStep())],
      flush: [new Loop(() => this.#flush())]
    }
    this.list.onChange = () => this.touch()
  }

  /** Take up what an earlier page or worker left. */
  async open () {
    const { list, store } = this
    for await (const some of store.rows()) {
      for (const row of some) {
        row.checked = false
        if (needsBytes(row)) {
          // The service may have taken what was under way: it is asked before the visitor is.
          row.state = row.stored ? 'queued' : row.url ? 'received' : 'lost'
          if (row.state === 'lost') Object.assign(row, LOST)
        }
        list.add(row)
        this.#nextId = row.id + 1
      }
    }
    this.totals = { ...this.totals, ...(await store.meta('totals')) }
    this.skipped = Skipped.from(await store.meta('skipped'))
    this.cutScan = (await store.meta('scan')) ?? null
    this.mark = (await store.meta('mark')) ?? randomMark()
    await store.setMeta('mark', this.mark)
    this.api.sure().catch(error => this.trouble(error))
    for (const row of list.rows) this.hasher.known(row)
    this.wakeAll()
    this.touch()
  }

  /** Stop, and write everything down. */
  async close () {
    this.gate.stop()
    this.sender.stop()
    const loops = Object.values(this.#loops).flat()
    await Promise.all(loops.map(loop => loop.stop()))
    clearTimeout(this.#telling)
    await this.store.putRows([...this.list.changed])
    this.store.close()
  }

  // --- what the parts use -------------------------------------------------------------------------

  /** Whether nothing is to be read or sent just now. */
  get isHeld () {
    return this.totals.paused || this.scans.size > 0
  }

  wake (name) {
    for (const loop of this.#loops[name]) loop.wake()
  }

  wakeAll () {
    for (const name of Object.keys(this.#loops)) this.wake(name)
  }

  /** Something changed: it is written down and told, both soon. */
  touch () {
    this.wake('flush')
    if (this.#telling) return
    const wait = Math.max(0, this.#told + SNAPSHOT_MS - Date.now())
    this.#telling = setTimeout(() => {
      this.#telling = null
      this.#told = Date.now()
      this.#onSnapshot(this.snapshot())
    }, wait)
  }

  /** Close the gate for what an `ApiError` says. */
  trouble ({ kind, status, message, retryAfterS }) {
    if (kind === 'signed-out' || kind === 'other-user') {
      this.sender.stop()
      this.gate.signedOut(kind)
    } else if (kind !== 'refused') this.gate.wait()
    else this.gate.wait(status === 429 || (status >= 500 && status !== 507) ? SAY.busy : message, retryAfterS)
  }

  /** A row begins anew. */
  requeue (row, more = {}) {
    this.list.change(row, { state: 'queued', url: '', sent: 0, reason: '', remedy: '', finalised: false, ...more })
    row.checked = false
    this.rewind()
    this.hasher.known(row)
    this.wakeAll()
  }

  rewind () {
    for (const part of [this.storer, this.hasher, this.sender]) part.rewind()
  }

  decide (row, told) {
    return this.outcomes.decide(row, told)
  }

  adopt (row) {
    return this.adopter.adopt(row)
  }

  nextId () {
    return this.#nextId++
  }

  snapshot () {
    return makeSnapshot(this)
  }

  /** A scan has ended: what it found may be read and sent. */
  scanned () {
    this.rate.restart()
    this.rewind()
    this.wakeAll()
    this.touch()
  }

  async setTotals (changes) {
    Object.assign(this.totals, changes)
    this.touch()
    await this.store.setMeta('totals', this.totals)
  }

  /** Somebody else's page was opened with this browser. */
  suspect () {
    this.api.doubt()
    if (this.list.work === 0) return
    this.sender.stop()
    this.api.sure().catch(error => this.trouble(error))
  }

  // --- helpers --------------------------------------------------------------------------------------

  #gateChanged () {
    if (this.gate.isOpen) {
      this.rate.restart()
      this.wakeAll()
    }
    this.touch()
  }

  async #flush () {
    const { list, store } = this
    if (list.changed.size === 0) return false
    await new Promise(resolve => setTimeout(resolve, FLUSH_MS))
    const rows = [...list.changed]
    list.changed.clear()
    try {
      await store.putRows(rows)
    } catch (error) {
      for (const row of rows) if (list.get(row.id)) list.changed.add(row)
      if (!isFull(error)) throw error
      return 5000
    }
    return list.changed.size > 0
  }
}

function many (count, step) {
  return Array.from({ length: count }, () => new Loop(step))
}

function randomMark () {
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), byte => byte.toString(16).padStart(2, '0')).join('')
}
