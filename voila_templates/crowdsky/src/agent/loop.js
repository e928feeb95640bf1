// Work that is done step by step, one step at a time, whenever there is some.

const AFTER_A_FAULT_MS = 5000

/**
 * Calls `step` as long as it says that there is more.
 *
 * `step` answers `true` (more to do), a number (look again after so many milliseconds) or anything
 * else (sleep until somebody calls `wake`). A step that throws is tried again later, so that no
 * fault of ours ends an upload.
 */
export class Loop {
  #step
  #wanted = false
  #running = null
  #timer = null
  #stopped = false

  constructor (step) {
    this.#step = step
  }

  wake () {
    if (this.#stopped) return
    this.#wanted = true
    this.#running ??= this.#run()
  }

  /** Stop after the step that is under way; resolves when it has ended. */
  async stop () {
    this.#stopped = true
    clearTimeout(this.#timer)
    await this.#running
  }

  async #run () {
    while (this.#wanted && !this.#stopped) {
      this.#wanted = false
      let next
      try {
        next = await this.#step()
      } catch (error) {
        console.error(error)
        next = AFTER_A_FAULT_MS
      }
      if (next === true) this.#wanted = true
      else if (typeof next === 'number') this.#later(next)
    }
    this.#running = null
  }

  #later (ms) {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.wake(), ms)
  }
}
