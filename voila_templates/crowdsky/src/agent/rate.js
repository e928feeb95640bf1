// How fast bytes are acknowledged, over the last seconds.

const WINDOW_MS = 20_000
const LEAST_MS = 1000

export class Rate {
  #parts = [] // [when, bytes]
  #sum = 0
  #began = null
  #now

  constructor (now = () => performance.now()) {
    this.#now = now
  }

  /** So many bytes were acknowledged now. */
  add (bytes) {
    const now = this.#now()
    this.#began ??= now
    this.#parts.push([now, bytes])
    this.#sum += bytes
  }

  /** Sending begins anew: what was before a pause says nothing. */
  restart () {
    this.#parts = []
    this.#sum = 0
    this.#began = this.#now()
  }

  /** Bytes per second; 0 while it is not known. */
  get bytesPerS () {
    if (this.#began === null) return 0
    const now = this.#now()
    while (this.#parts.length && this.#parts[0][0] < now - WINDOW_MS) this.#sum -= this.#parts.shift()[1]
    const span = Math.min(now - this.#began, WINDOW_MS)
    return span < LEAST_MS ? 0 : (this.#sum * 1000) / span
  }
}
