// What came of a file once the service has all of it.

import { CHANGED, LOST, remedyFor } from '../remedies.js'

const LOOK_AGAIN_MS = 2000
const LIST_MOST = 1000
const HASH_REASON = /SHA-256/

/** The outcome of an upload by its state and its files, as `GET uploads/<id>` gives them. */
export function outcomeOf ({ state, reason, items }) {
  if (state !== 'accepted') return { outcome: state, reason }
  const taken = items.some(item => item.outcome === 'accepted')
  return { outcome: taken || items.length === 0 ? 'accepted' : 'duplicate', reason }
}

/** How many files of an archive came to what, and the first reasons why some were not taken. */
export function insideOf (items) {
  const inside = { accepted: 0, duplicate: 0, refused: 0, skipped: 0 }
  const reasons = new Set()
  for (const { name, outcome, reason } of items) {
    inside[outcome] += outcome === 'skipped' ? Number.parseInt(name, 10) || 1 : 1
    if (outcome === 'refused' && reasons.size < 3) reasons.add(reason)
  }
  return { inside, reasons: [...reasons] }
}

export const idOf = url => url.replace(/\/+$/, '').split('/').at(-1)

export class Outcomes {
  #desk

  constructor (desk) {
    this.#desk = desk
  }

  /** Write down what the service told with the last bytes; ask where it did not tell all. */
  async decide (row, { outcome, reason }) {
    const { list, sources } = this.#desk
    if (!list.get(row.id)) return
    const complete = ['accepted', 'duplicate', 'refused'].includes(outcome)
    // An archive holds many files; an upload that was found complete says 'accepted' for copies too.
    if (!complete || row.archive || (outcome === 'accepted' && reason)) {
      list.change(row, { state: 'received', sent: row.bytes, reason: '' })
      this.#desk.wake('look')
      return
    }
    if (outcome === 'refused') return await this.#refused(row, reason)
    list.change(row, { state: outcome, sent: row.bytes, reason: outcome === 'duplicate' ? reason || 'already here' : '' })
    await sources.drop([row])
    this.#desk.wake('ask')
    this.#desk.wake('store')
  }

  /** A step of the loop that asks what came of files that were still being looked at. */
  async step () {
    const { list, api, gate } = this.#desk
    if (!gate.isOpen || list.counts.received === 0) return false
    const waiting = list.rows.filter(row => row.state === 'received')
    try {
      await api.sure()
      let open = new Set()
      if (waiting.length > 3) {
        const { uploads } = await api.ask(`/uploads?state=received&limit=${LIST_MOST}`)
        open = new Set(uploads.map(upload => upload.id))
        if (open.size === LIST_MOST) return LOOK_AGAIN_MS
      }
      for (const row of waiting) {
        if (!open.has(idOf(row.url))) await this.#look(row)
      }
      gate.ok()
    } catch (error) {
      this.#desk.trouble(error)
      return false
    }
    return LOOK_AGAIN_MS
  }

  async #look (row) {
    const { list, api, sources } = this.#desk
    let found
    try {
      found = await api.ask(`/uploads/${idOf(row.url)}`)
    } catch (error) {
      if (error.status !== 404 && error.status !== 410) throw error
      // It was given up before it was looked at: once more, from its beginning.
      if (sources.has(row)) this.#desk.requeue(row)
      else list.change(row, { state: 'lost', sent: 0, url: '', ...CHANGED })
      return
    }
    if (found.state === 'received' || row.state !== 'received') return
    if (found.state === 'open') {
      // Of an earlier day, and not all of it came.
      if (sources.has(row)) {
        list.change(row, { state: 'queued' })
        this.#desk.rewind()
        this.#desk.wakeAll()
      } else list.change(row, { state: 'lost', sent: found.offset ?? 0, ...LOST })
      return
    }
    const { outcome, reason } = outcomeOf(found)
    const changes = { sha256: row.sha256 || (found.sha256 ?? '') }
    if (row.archive) {
      const { inside, reasons } = insideOf(found.items)
      changes.inside = inside
      changes.remedy = inside.refused ? 'The other files in it were taken.' : ''
      changes.reason = inside.refused ? `${inside.refused} files in it were refused: ${reasons.join('; ')}` : reason
    }
    list.change(row, changes)
    if (outcome === 'refused') return await this.#refused(row, reason)
    list.change(row, { state: outcome })
    if (!row.archive) list.change(row, { reason: outcome === 'duplicate' ? reason || 'already here' : '' })
    await sources.drop([row])
    this.#desk.wake('ask')
  }

  async #refused (row, reason) {
    const { list, sources } = this.#desk
    if (HASH_REASON.test(reason) && !row.retried && sources.has(row)) {
      // Bits broke on the way, or the file changed while it was read: once more, read anew.
      row.retried = true
      this.#desk.requeue(row, { sha256: '' })
      return
    }
    list.change(row, { state: 'refused', reason, remedy: remedyFor(reason) })
    await sources.drop([row])
  }
}
