// Holds the queue, or speaks to whoever holds it: of all pages and workers of one user with this
// browser exactly one has the lock, and only that one sends.

import { Commands } from './commands.js'
import { Engine } from './engine.js'
import { answer, Asker } from './link.js'
import { hasLocks, randomName, whenGone, withLock } from './locks.js'
import { EMPTY } from './snapshot.js'
import { NoStore, Store } from './store.js'

const WHO = 'crowdsky-who'

export class Host {
  snapshot = { ...EMPTY, loading: true }
  #how
  #onSnapshot
  #name = randomName('host-')
  #commands = null
  #engine = null
  #channel = null
  #who = null
  #asker
  #closing = new AbortController()
  #closed

  /**
   * @param {object} how `user`, `api`, `where`, `outlivesPages`; see `Engine`
   * @param {(snapshot: object) => void} onSnapshot
   */
  constructor (how, onSnapshot) {
    this.#how = how
    this.#onSnapshot = onSnapshot
    this.#asker = new Asker(question => this.#channel?.postMessage({ to: 'holder', from: this.#name, ...question }))
  }

  start () {
    this.#who = channel(WHO, ({ user }) => user !== this.#how.user && this.#engine?.suspect())
    this.#channel = channel(`crowdsky-upload-${this.#how.user}`, message => this.#hear(message))
    this.hello()
    if (!hasLocks) {
      this.#hold()
      return
    }
    const held = new Promise(resolve => { this.#closed = resolve })
    withLock(`crowdsky-upload-${this.#how.user}`, async () => {
      await this.#hold()
      await held
    }, this.#closing.signal).catch(error => {
      if (error.name !== 'AbortError') console.error(error)
    })
  }

  /** A page of this user is open: queues of others are to make sure whose cookie they show. */
  hello () {
    this.#who?.postMessage({ user: this.#how.user })
    this.#channel?.postMessage({ to: 'holder', from: this.#name, hello: true })
  }

  /** A command, carried out by whoever holds the queue, now or as soon as somebody does. */
  call (method, args) {
    return this.#commands ? this.#run(method, args) : this.#asker.call(method, args)
  }

  async close () {
    this.#closing.abort()
    await this.#engine?.close()
    this.#closed?.()
    this.#channel?.close()
    this.#who?.close()
  }

  async #hold () {
    let engine
    try {
      engine = await this.#openEngine(hasLocks && globalThis.indexedDB ? await Store.open(this.#how.user) : new NoStore())
    } catch (error) {
      console.warn('the browser keeps nothing here', error)
      engine = await this.#openEngine(new NoStore())
    }
    if (this.#closing.signal.aborted) return await engine.close()
    this.#engine = engine
    this.#commands = new Commands(engine, whenGone)
    this.#channel?.postMessage({ held: true }) // what was asked of the one before is asked again
    await this.#asker.answerBy((method, args) => this.#run(method, args))
  }

  async #openEngine (store) {
    const engine = new Engine({ ...this.#how, store, onSnapshot: snapshot => this.#tell(snapshot) })
    await engine.open()
    return engine
  }

  async #run (method, args) {
    if (!Object.getOwnPropertyNames(Commands.prototype).includes(method) || method === 'constructor') {
      throw new Error(`no such command: ${method}`)
    }
    return await this.#commands[method](args)
  }

  #tell (snapshot) {
    this.snapshot = snapshot
    this.#onSnapshot(snapshot)
    this.#channel?.postMessage({ snapshot })
  }

  #hear (message) {
    if (this.#commands) {
      if (message.to !== 'holder') return
      if (message.hello) {
        this.#commands.nudge()
        this.#channel.postMessage({ to: message.from, snapshot: this.#engine.snapshot() })
        return
      }
      answer(message, (method, args) => this.#run(method, args), reply => this.#channel.postMessage({ to: message.from, ...reply }))
    } else if (message.to === undefined || message.to === this.#name) {
      if (message.held) this.#asker.repeat()
      if (message.answer) this.#asker.take(message)
      if (message.snapshot) {
        this.snapshot = message.snapshot
        this.#onSnapshot(message.snapshot)
      }
    }
  }
}

function channel (name, hear) {
  if (typeof BroadcastChannel === 'undefined') return null
  const made = new BroadcastChannel(name)
  made.onmessage = ({ data }) => hear(data)
  return made
}
