// Files that were judged become rows, or find the rows that wait for them.

import { isWork } from '../list.js'
import { judge } from './intake.js'

export class Merge {
  #desk
  #lost = null // rows that lost their bytes, by what is left to know them by
  #lostVersion = -1

  constructor (desk) {
    this.#desk = desk
  }

  /**
   * Add files; a file that is in the list already is not added again.
   *
   * @param {{path: string, file: File}[]} entries
   * @param {{path: string, skip: string}[]} skipped set aside by their names
   */
  async add (entries, skipped) {
    const { list, store, sources, api } = this.#desk
    const judged = await judge(entries, api.limits)
    const fresh = []
    for (const { path, skip } of skipped) this.#desk.skipped.add(path, skip)
    for (const { path, skip, row, file } of judged) {
      if (skip) {
        this.#desk.skipped.add(path, skip)
        continue
      }
      const found = list.find(row) ?? this.#lostLike(row)
      if (found) this.#again(found, row, file)
      else {
        row.id = this.#desk.nextId()
        list.add(row)
        if (file) sources.hold(row, file)
        fresh.push(row)
      }
    }
    try {
      await store.putRows(fresh)
    } catch (error) {
      console.warn('the list cannot be written down just now', error)
      for (const row of fresh) list.changed.add(row)
    }
    this.#desk.wake('store') // bytes are made safe while the rest is still being read
  }

  /** A listed file was added once more. */
  #again (found, row, file) {
    const { list, sources } = this.#desk
    if (!file) {
      if (found.state === 'lost') list.change(found, { state: 'refused', reason: row.reason, remedy: row.remedy })
      return
    }
    if (found.state === 'lost' || found.state === 'refused') {
      sources.hold(found, file)
      const begun = found.state === 'lost' ? { url: found.url, sent: found.sent } : { sha256: '' }
      this.#desk.requeue(found, { ...begun, path: found.path })
    } else if (isWork(found) && !found.stored) {
      sources.hold(found, file)
    }
  }

  /** A lost row of another path: perhaps only a part of the folder was chosen this time. */
  #lostLike (row) {
    const { list } = this.#desk
    if (list.counts.lost === 0) return null
    if (this.#lostVersion !== list.factsVersion) {
      this.#lostVersion = list.factsVersion
      this.#lost = new Map(list.rows.filter(one => one.state === 'lost').map(one => [likeness(one), one]))
    }
    const found = this.#lost.get(likeness(row))
    return found?.state === 'lost' ? found : null
  }
}

function likeness ({ name, bytes, lastModified, mark }) {
  return `${name}\n${bytes}\n${lastModified}\n${mark}`
}
