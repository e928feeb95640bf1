// Uploads at the service that this browser began and that no row names: continued, or ended.

import { ApiError } from '../api.js'

const TUS = { 'Tus-Resumable': '1.0.0' }
const AT_ONCE = 50
const MOST = 1000
const TIMEOUT_MS = 60_000

export class Adopter {
  #desk
  #open = null // content -> ids of open uploads, as they were when this was last asked

  constructor (desk) {
    this.#desk = desk
  }

  /**
   * The address of an upload that was begun for a row, just before a crash kept it from being
   * written down; empty if there is none.
   */
  async adopt (row) {
    if (!row.sha256) return ''
    const open = await (this.#open ??= this.#list())
    const found = open.get(row.sha256)
    if (!found) return ''
    open.delete(row.sha256)
    const url = `${this.#desk.api.uploads}/${found.id}`
    return found.length === row.bytes && await this.#isOurs(url) ? url : ''
  }

  /** An upload may have been begun whose answer was lost: what is open is asked for anew. */
  doubt () {
    this.#open = null
  }

  /** A step of the loop that ends uploads whose rows were removed. */
  async terminateStep () {
    const { totals, store, gate, api } = this.#desk
    if (totals.terminate.length === 0 || !gate.isOpen) return false
    try {
      await api.sure()
      for (const id of totals.terminate.slice(0, AT_ONCE)) {
        const response = await fetch(`${api.uploads}/${id}`, { method: 'DELETE', headers: TUS, credentials: 'same-origin', signal: AbortSignal.timeout(TIMEOUT_MS) })
        if (response.status === 401) throw new ApiError('signed-out', 'you are signed out')
        if (response.status >= 500 || response.status === 429) throw new ApiError('offline', 'the service is away')
        totals.terminate.splice(totals.terminate.indexOf(id), 1)
      }
    } catch (error) {
      this.#desk.trouble(error)
      return false
    } finally {
      await store.setMeta('totals', totals)
    }
    return totals.terminate.length > 0
  }

  async #list () {
    const found = new Map()
    try {
      const { uploads } = await this.#desk.api.ask(`/uploads?state=open&limit=${MOST}`)
      const named = new Set(this.#desk.list.rows.map(row => row.url.split('/').at(-1)))
      for (const { id, sha256, length } of uploads) if (sha256 && !named.has(id)) found.set(sha256, { id, length })
    } catch {} // then the upload is begun anew, and the service forgets the old one by itself
    return found
  }

  /** Another browser may be sending the same file: its uploads are left alone. */
  async #isOurs (url) {
    const response = await fetch(url, { method: 'HEAD', headers: TUS, credentials: 'same-origin', signal: AbortSignal.timeout(TIMEOUT_MS) }).catch(() => null)
    const metadata = response?.ok ? response.headers.get('Upload-Metadata') ?? '' : ''
    return metadata.split(',').includes(`agent ${btoa(this.#desk.mark)}`)
  }
}
