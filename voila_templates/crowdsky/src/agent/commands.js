// What pages ask of the queue.

import { isTaken, isWork, needsBytes } from './list.js'
import { LOST } from './remedies.js'
import { Skipped } from './skipped.js'
import { idOf } from './work/outcomes.js'

const SHOWN = ['id', 'name', 'path', 'bytes', 'state', 'reason', 'remedy', 'paused', 'target', 'dateObs', 'exposureS', 'filter']

/** Each method is a command; arguments and results can be cloned from one thread to another. */
export class Commands {
  #engine
  #whenGone

  /** `whenGone(page)` resolves when a page is gone. */
  constructor (engine, whenGone) {
    this.#engine = engine
    this.#whenGone = whenGone
  }

  async snapshot () {
    return this.#engine.snapshot()
  }

  /** Files are about to be added; nothing is sent until the scan ends. Called again for its total. */
  async scanBegin ({ scan, page, total = 0 }) {
    const { scans, store, list, api } = this.#engine
    if (!scans.has(scan)) this.#whenGone(page).then(() => this.#cut(scan))
    scans.set(scan, { total })
    this.#engine.cutScan = null
    this.#engine.touch()
    await store.setMeta('scan', { total: list.length + total })
    if (!api.limits) await api.sure().catch(() => {})
  }

  async addBatch ({ files = [], skipped = [] }) {
    await this.#engine.merge.add(files, skipped)
    this.#engine.touch()
  }

  async scanEnd ({ scan }) {
    const { scans, store, skipped } = this.#engine
    if (!scans.delete(scan)) return
    this.#engine.scanned()
    if (scans.size === 0) await store.setMeta('scan', undefined)
    await store.setMeta('skipped', skipped.kept)
  }

  async pause () {
    await this.#engine.setTotals({ paused: true })
    this.#engine.sender.stop()
  }

  /** Go on with everything, also with what was paused by its own. */
  async resume () {
    const { list, gate, rate } = this.#engine
    await this.#engine.setTotals({ paused: false })
    for (const row of list.rows) if (row.paused) list.change(row, { paused: false })
    rate.restart()
    gate.nudge()
    this.#engine.rewind()
    this.#engine.wakeAll()
  }

  async pauseFile ({ id }) {
    const { list, sender } = this.#engine
    const row = list.get(id)
    if (!row || !needsBytes(row)) return
    list.change(row, { paused: true })
    sender.stop(row)
  }

  async resumeFile ({ id }) {
    const row = this.#engine.list.get(id)
    if (!row) return
    this.#engine.list.change(row, { paused: false })
    this.#engine.rewind()
    this.#engine.wakeAll()
  }

  async retry ({ id }) {
    const { list, sources, sender } = this.#engine
    const row = list.get(id)
    if (!row || isTaken(row) || row.state === 'received' || row.state === 'uploading') return
    sender.hurry(row)
    if (sources.has(row)) this.#engine.requeue(row, { paused: false, url: row.url, sent: row.sent })
    else if (row.state !== 'refused') list.change(row, { state: 'lost', url: '', sent: 0, ...LOST })
  }

  async remove ({ id }) {
    const row = this.#engine.list.get(id)
    if (row) await this.#remove([row])
  }

  async clear () {
    const engine = this.#engine
    await this.#remove(engine.list.rows)
    engine.skipped = new Skipped()
    engine.cutScan = null
    await engine.store.clear()
    await engine.store.setMeta('mark', engine.mark)
    await engine.setTotals({ paused: false, resentBytes: 0, receipt: null, answer: null })
  }

  /** Go on without what the browser could not hold on to. */
  async giveUpLost () {
    const { store, list } = this.#engine
    this.#engine.cutScan = null
    await store.setMeta('scan', undefined)
    await this.#remove(list.rows.filter(row => row.state === 'lost'))
  }

  async rows ({ offset = 0, limit = 100, filter = 'all' } = {}) {
    const { list, summaries } = this.#engine
    const all = filter === 'problems' ? list.problems : list.rows
    const rows = all.slice(offset, offset + limit).map(row => ({
      ...Object.fromEntries(SHOWN.map(name => [name, row[name] ?? null])),
      sentBytes: isTaken(row) || row.state === 'received' ? row.bytes : row.sent,
      block: summaries.blockOf(row)
    }))
    return { total: all.length, rows }
  }

  async summary () {
    const { summaries, skipped } = this.#engine
    return { ...summaries.get(), skipped: skipped.count, skippedReasons: skipped.reasons }
  }

  async finalise () {
    return await this.#engine.finaliser.run()
  }

  /** A page was opened, or the network came back: look now rather than later. */
  async nudge () {
    this.#engine.gate.nudge()
  }

  /** The page of a scan is gone, and with it what it had not handed over yet. */
  #cut (scan) {
    const engine = this.#engine
    const found = engine.scans.get(scan)
    if (!engine.scans.delete(scan)) return
    engine.cutScan = { total: Math.max(found.total, engine.list.length) }
    engine.scanned()
  }

  async #remove (rows) {
    const engine = this.#engine
    const gone = [...rows]
    for (const row of gone) {
      if (row.state === 'uploading') engine.sender.stop(row)
      // The service is told to forget what it has of it; what was taken stays.
      if (row.url && isWork(row)) engine.totals.terminate.push(idOf(row.url))
    }
    engine.list.remove(gone)
    engine.rewind()
    for (const row of gone) engine.sources.letGo(row)
    await engine.store.removeRows(gone.map(row => row.id))
    await engine.setTotals({})
    engine.wakeAll()
  }
}
