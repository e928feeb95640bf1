// What survives a crash: the list, and the bytes of what the service does not have yet.

import { openDB } from 'idb'

const VERSION = 1
const ROWS_AT_ONCE = 5000

/** Whether an error says that the browser gives no more room. */
export function isFull (error) {
  return error?.name === 'QuotaExceededError' || error?.inner?.name === 'QuotaExceededError'
}

/** A queue in IndexedDB: `items` (rows), `blobs` (bytes, by the row's id) and `meta`. */
export class Store {
  #db

  constructor (db) {
    this.#db = db
  }

  static async open (user) {
    const db = await openDB(`crowdsky-${user}`, VERSION, {
      upgrade (made) {
        made.createObjectStore('items', { keyPath: 'id' })
        made.createObjectStore('blobs')
        made.createObjectStore('meta')
      },
      blocking (_current, _blocked, event) {
        event.target.close() // a newer page wants to change the layout, or the data are being wiped
      }
    })
    return new Store(db)
  }

  get keeps () {
    return true
  }

  /** Every row, in order, some thousands at a time. */
  async * rows () {
    let after = 0
    for (;;) {
      const some = await this.#db.getAll('items', IDBKeyRange.lowerBound(after, true), ROWS_AT_ONCE)
      if (some.length === 0) return
      yield some
      after = some.at(-1).id
    }
  }

  async putRows (rows) {
    await this.#write(['items'], transaction => {
      for (const row of rows) transaction.objectStore('items').put(row)
    })
  }

  /** Rows together with their bytes: both are there afterwards, or neither. */
  async putBlobs (pairs) {
    await this.#write(['items', 'blobs'], transaction => {
      for (const [row, blob] of pairs) {
        transaction.objectStore('blobs').put(blob, row.id)
        transaction.objectStore('items').put(row)
      }
    })
  }

  async blob (id) {
    return (await this.#db.get('blobs', id)) ?? null
  }

  async dropBlobs (ids) {
    await this.#write(['blobs'], transaction => {
      for (const id of ids) transaction.objectStore('blobs').delete(id)
    })
  }

  async removeRows (ids) {
    await this.#write(['items', 'blobs'], transaction => {
      for (const id of ids) {
        transaction.objectStore('items').delete(id)
        transaction.objectStore('blobs').delete(id)
      }
    })
  }

  async clear () {
    await this.#write(['items', 'blobs', 'meta'], transaction => {
      for (const name of transaction.objectStoreNames) transaction.objectStore(name).clear()
    })
  }

  async meta (key) {
    return await this.#db.get('meta', key)
  }

  /** Keep a note. Where the browser has no room just now, a crash costs it; nothing stops for want of it. */
  async setMeta (key, value) {
    try {
      await this.#db.put('meta', value, key)
    } catch (error) {
      if (!isFull(error)) throw error
      console.warn(`no room for '${key}' just now`, error)
    }
  }

  close () {
    this.#db.close()
  }

  async #write (stores, work) {
    const transaction = this.#db.transaction(stores, 'readwrite')
    try {
      work(transaction)
    } catch (error) {
      transaction.done.catch(() => {})
      transaction.abort()
      throw error
    }
    await transaction.done
  }
}

/** Stands in where the browser keeps nothing: all is lost with the page. */
export class NoStore {
  get keeps () {
    return false
  }

  async * rows () {}
  async putRows () {}
  async putBlobs () {}
  async blob () { return null }
  async dropBlobs () {}
  async removeRows () {}
  async clear () {}
  async meta () {}
  async setMeta () {}
  close () {}
}
