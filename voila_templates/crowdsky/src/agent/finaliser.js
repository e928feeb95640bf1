// "Create stacking jobs": asked of the service once, however often a visitor asks.

import { isTaken } from './list.js'
import { makeReceipt } from './receipt.js'

const TRIES = 5
const LONGEST_S = 30

export class Finaliser {
  #engine
  #running = null

  constructor (engine) {
    this.#engine = engine
  }

  get isRunning () {
    return this.#running !== null
  }

  /**
   * The service's answer, with `receipt`. Calls at once share one request, and where nothing new was
   * sent since the last time its answer is given again.
   *
   * Throws an error with `kind`: `not-yet`, or that of an `ApiError`.
   */
  async run () {
    this.#running ??= this.#run().finally(() => {
      this.#running = null
      this.#engine.touch()
    })
    this.#engine.touch()
    return await this.#running
  }

  async #run () {
    const { list, totals, scans, store } = this.#engine
    if (list.work > 0 || list.counts.lost > 0 || scans.size > 0) {
      throw Object.assign(new Error('not all files are sent yet'), { kind: 'not-yet' })
    }
    if (list.fresh === 0 && totals.answer) return totals.answer
    const rows = [...list.rows]
    const answer = await this.#ask()
    const receipt = await makeReceipt(rows, answer)
    const done = rows.filter(row => list.get(row.id) && !row.finalised && (isTaken(row) || row.state === 'refused'))
    for (const row of done) list.change(row, { finalised: true })
    // The jobs are there, whether or not there is room to write that down; changes are tried again.
    await store.putRows(done).catch(error => console.warn('written down later', error))
    await this.#engine.setTotals({ receipt, answer: { ...answer, receipt } })
    return totals.answer
  }

  async #ask () {
    const { api } = this.#engine
    for (let tries = 1; ; tries++) {
      try {
        await api.sure()
        return await api.ask('/finalise', { method: 'POST', json: {} })
      } catch (error) {
        if (error.kind === 'signed-out' && tries === 1 && await api.signIn()) continue
        const passes = error.kind === 'offline' || error.status === 429 || error.status >= 500
        if (!passes || tries >= TRIES) throw error
        const seconds = error.retryAfterS ?? 2 ** (tries - 1)
        await new Promise(resolve => setTimeout(resolve, Math.min(seconds, LONGEST_S) * 1000))
      }
    }
  }
}
