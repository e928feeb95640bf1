// Puts bytes into the browser's store while others are sent, so that a crash loses none.

import { Cursor, needsBytes } from '../list.js'
import { CHANGED } from '../remedies.js'
import { isFull } from '../store.js'
import { isReadable } from './sources.js'

const MOST_FILES = 8
const MOST_BYTES = 48 * 2 ** 20
const FULL_MS = 20_000

export class Storer {
  isFull = false
  #most = MOST_FILES
  #desk
  #cursor

  constructor (desk) {
    this.#desk = desk
    this.#cursor = new Cursor(
      desk.list,
      row => needsBytes(row) && !row.stored && Boolean(desk.sources.held(row)),
      row => row.stored || !needsBytes(row)
    )
  }

  rewind () {
    this.#cursor.rewind()
  }

  /** A step of a `Loop`. */
  async step () {
    const { list, sources, store } = this.#desk
    if (!store.keeps) return false
    const batch = this.#batch()
    if (batch.length === 0) return false
    const pairs = batch.map(row => [{ ...row, stored: true }, sources.held(row)])
    try {
      await store.putBlobs(pairs)
    } catch (error) {
      return await this.#failed(batch, error)
    }
    this.isFull = false
    this.#most = MOST_FILES
    const late = [] // sent or removed while they were being stored
    for (const row of batch) {
      if (!list.get(row.id)) await store.removeRows([row.id])
      else if (needsBytes(row)) list.change(row, { stored: true })
      else late.push(row)
      if (row.stored) sources.letGo(row)
    }
    if (late.length) await store.dropBlobs(late.map(row => row.id))
    return true
  }

  #batch () {
    const batch = []
    const { list, sources } = this.#desk
    if (!this.#cursor.next()) return batch
    let bytes = 0
    for (let at = this.#cursor.position; at < list.rows.length; at++) {
      const row = list.rows[at]
      if (!needsBytes(row) || row.stored || !sources.held(row)) continue
      if (batch.length && (batch.length >= this.#most || bytes + row.bytes > MOST_BYTES)) break
      batch.push(row)
      bytes += row.bytes
    }
    return batch
  }

  async #failed (batch, error) {
    const { list, sources } = this.#desk
    if (!isFull(error)) {
      // Perhaps one of them cannot be read; the others are stored without it.
      for (const row of batch) {
        const held = sources.held(row)
        if (!held || await isReadable(held)) continue
        sources.letGo(row)
        if (needsBytes(row)) list.change(row, { state: 'lost', ...CHANGED })
      }
      if (batch.some(row => row.state === 'lost')) return true
      console.warn('files cannot be stored just now', error)
    }
    if (batch.length > 1) {
      this.#most = Math.floor(batch.length / 2) // perhaps fewer fit
      return true
    }
    // Full: they are sent from where they are, and what is sent makes room.
    this.isFull = true
    list.version += 1
    return FULL_MS
  }
}
