// What is in the list, before and while it is sent.

import { groupBlocks } from './scan/blocks.js'

/** Counts of the list by target, night and filter; grouped anew only when rows came or went. */
export class Summary {
  #list
  #version = -1
  #facts = null
  #blocks = new Map()

  constructor (list) {
    this.#list = list
  }

  blockOf (row) {
    this.#refresh()
    return this.#blocks.get(row.id) ?? ''
  }

  get () {
    this.#refresh()
    const { counts, bytes } = this.#list
    return { ...this.#facts, bytes, here: counts.duplicate, refused: counts.refused }
  }

  #refresh () {
    const { rows, factsVersion } = this.#list
    if (this.#version === factsVersion) return
    this.#version = factsVersion
    this.#blocks = groupBlocks(rows)
    const frames = rows.filter(row => row.dateObs)
    this.#facts = {
      frames: frames.length,
      archives: rows.filter(row => row.archive).length,
      blocks: new Set(this.#blocks.values()).size,
      targets: counted(frames, row => row.target || 'no target'),
      nights: counted(frames, row => row.night, (a, b) => (a.name < b.name ? -1 : 1)),
      filters: counted(frames, row => row.filter || 'no filter')
    }
  }
}

function counted (rows, nameOf, order = (a, b) => b.frames - a.frames) {
  const counts = new Map()
  for (const row of rows) counts.set(nameOf(row), (counts.get(nameOf(row)) ?? 0) + 1)
  return [...counts].map(([name, frames]) => ({ name, frames })).sort(order)
}
