// The way from a page to the queue: through a SharedWorker where there is one, else in the page.

import { Asker } from './link.js'
import { hasLocks, holdForEver, randomName, whenGone } from './locks.js'

const WELCOME_MS = 10_000

export class Connection {
  page = randomName('crowdsky-page-')
  #how
  #onSnapshot
  #asker
  #port = null
  #host = null
  #closed = false

  /**
   * @param {object} how `user`, `api` (absolute), `workerUrl` (empty: in the page)
   * @param {(snapshot: object) => void} onSnapshot
   */
  constructor (how, onSnapshot) {
    this.#how = how
    this.#onSnapshot = onSnapshot
    this.#asker = new Asker(() => {}) // kept until there is somebody to ask
  }

  async open () {
    await holdForEver(this.page)
    if (hasLocks && this.#how.workerUrl && typeof SharedWorker !== 'undefined') this.#openWorker()
    else await this.#openHost()
  }

  call (method, args) {
    return this.#host ? this.#host.call(method, args) : this.#asker.call(method, args)
  }

  async close () {
    this.#closed = true
    this.#port?.postMessage({ bye: true })
    this.#port?.close()
    await this.#host?.close()
  }

  #openWorker () {
    const { user, api, workerUrl } = this.#how
    let outlivesPages = false
    const options = {
      name: `crowdsky-${user}`,
      // Read only by browsers that know it.
      get extendedLifetime () {
        outlivesPages = true
        return true
      }
    }
    let worker
    try {
      worker = new SharedWorker(workerUrl, options)
    } catch (error) {
      console.warn(error)
      this.#openHost().catch(failure => console.error(failure))
      return
    }
    let settled = false
    const giveUp = () => {
      if (settled || this.#closed) return
      settled = true
      console.warn('no SharedWorker here; the upload runs in the page')
      worker.port.close()
      this.#port = null
      this.#openHost().catch(error => console.error(error))
    }
    worker.addEventListener('error', giveUp)
    setTimeout(giveUp, WELCOME_MS)
    const { port } = worker
    port.addEventListener('message', ({ data }) => {
      if (data.snapshot) this.#onSnapshot(data.snapshot)
      if (data.answer) this.#asker.take(data)
      if (!data.welcome) return
      settled = true
      this.#port = port
      this.#asker.repeat(question => port.postMessage(question))
      // It may be ended by the browser, with the process of another page: then a new one is made.
      whenGone(data.welcome).then(() => {
        if (this.#closed) return
        this.#asker.repeat(() => {})
        this.#openWorker()
      })
    })
    port.start()
    port.postMessage({ hello: { user, api, outlivesPages, page: this.page } })
  }

  async #openHost () {
    const { user, api } = this.#how
    const { Host } = await import('./host.js') // only pages that need it fetch it
    const host = new Host({ user, api, where: 'page', outlivesPages: false }, this.#onSnapshot)
    host.start()
    this.#host = host
    await this.#asker.answerBy((method, args) => host.call(method, args))
  }
}
