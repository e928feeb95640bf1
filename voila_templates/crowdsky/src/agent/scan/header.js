// The primary header of a FITS file, read in slices: the rules of crowdsky/frames/cards.py.

export const BLOCK = 2880
const CARD = 80
const FIRST_BLOCKS = 2 // a Seestar's header
const MORE_BLOCKS = 8
const MOST_CARDS = 2000
const MOST_BYTES = Math.ceil((MOST_CARDS * CARD) / BLOCK) * BLOCK
const END = 'END'.padEnd(CARD)
const VALUE = /^ *(?:([+-]?\d{1,40})|([+-]?(?:\d{1,70}\.?\d{0,70}|\.\d{1,70})(?:[EDed][+-]?\d{1,5})?)|([TF]))? *(?:\/|$)/

/** What is wrong with a file, in plain words. */
export class BadFile extends Error {}

/** The cards of a header, each evaluated when it is asked for. */
export class Cards {
  #text
  #at = new Map()

  constructor (text) {
    this.#text = text
    for (let start = 0; start < text.length; start += CARD) {
      const keyword = text.slice(start, start + 8).trimEnd()
      if (text.slice(start + 8, start + 10) === '= ' && !this.#at.has(keyword)) this.#at.set(keyword, start)
    }
  }

  /** Text, number, boolean, null where no value is given, undefined where there is no such card. */
  get (keyword) {
    const start = this.#at.get(keyword)
    if (start === undefined) return undefined
    const field = this.#text.slice(start + 10, start + CARD)
    const match = VALUE.exec(field)
    if (match) {
      if (match[1] !== undefined) return Number(match[1])
      if (match[2] !== undefined) return Number(match[2].replace(/d/i, 'E'))
      return match[3] === undefined ? null : match[3] === 'T'
    }
    return this.#text_(keyword, start, field.trimStart())
  }

  /** As text, empty where it is none. */
  text (keyword) {
    const value = this.get(keyword)
    return typeof value === 'string' ? value : ''
  }

  /** As a number, NaN where it is none; text that holds a number counts. */
  number (keyword) {
    const value = this.get(keyword)
    if (typeof value === 'number') return value
    return typeof value === 'string' && value.trim() !== '' ? Number(value) : NaN
  }

  #text_ (keyword, start, field) {
    let text = quoted(keyword, field)
    while (text.endsWith('&')) {
      start += CARD
      const next = this.#text.slice(start, start + CARD)
      const tail = next.slice(10).trimStart()
      if (next.slice(0, 10) !== 'CONTINUE  ' || !tail.startsWith("'")) break
      text = text.slice(0, -1) + quoted(keyword, tail)
    }
    return text.trimEnd()
  }
}

function quoted (keyword, field) {
  if (!field.startsWith("'")) throw new BadFile(`the value of ${keyword} is neither text, number nor logical`)
  let end = 1
  for (;;) {
    end = field.indexOf("'", end)
    if (end < 0) throw new BadFile(`the text of ${keyword} has no closing quote`)
    if (field[end + 1] !== "'") return field.slice(1, end).replaceAll("''", "'").trimEnd()
    end += 2
  }
}

/**
 * Read a header.
 *
 * @param {Blob} file
 * @returns {Promise<{cards: Cards, dataOffset: number, mark: string}>} `mark` tells files apart
 *   that have one name, size and date.
 * @throws {BadFile} not FITS, or no end of the header within 2,000 cards.
 */
export async function readHeader (file) {
  if (file.size === 0) throw new BadFile('not a FITS file: it is empty')
  let bytes = await slice(file, 0, FIRST_BLOCKS * BLOCK)
  refuseForeign(bytes)
  const mark = fingerprint(bytes)
  let end = findEnd(bytes, 0)
  for (let at = bytes.length; end < 0 && at < Math.min(file.size, MOST_BYTES); at = bytes.length) {
    refuseUnprintable(bytes, bytes.length)
    const more = await slice(file, at, Math.min(at + MORE_BLOCKS * BLOCK, MOST_BYTES))
    if (more.length === 0) break
    bytes = joined(bytes, more)
    end = findEnd(bytes, at - (at % CARD))
  }
  refuseUnprintable(bytes, end < 0 ? bytes.length : end)
  if (end < 0) {
    const tooLong = bytes.length >= MOST_CARDS * CARD
    throw new BadFile(tooLong
      ? `no END card within the first ${MOST_CARDS} cards`
      : 'the file stops before the END card of its header')
  }
  return {
    cards: new Cards(latin(bytes.subarray(0, end))),
    dataOffset: Math.ceil((end + CARD) / BLOCK) * BLOCK,
    mark
  }
}

/** FNV-1a of the first bytes, enough to tell two frames of one name apart. */
export function fingerprint (bytes) {
  let hash = 0x811c9dc5
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193)
  return (hash >>> 0).toString(16)
}

async function slice (file, from, to) {
  return new Uint8Array(await file.slice(from, to).arrayBuffer())
}

function latin (bytes) {
  let text = ''
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192))
  return text
}

function joined (one, other) {
  const both = new Uint8Array(one.length + other.length)
  both.set(one)
  both.set(other, one.length)
  return both
}

function findEnd (bytes, from) {
  for (let at = from; at + CARD <= bytes.length; at += CARD) {
    if (bytes[at] === 0x45 && latin(bytes.subarray(at, at + CARD)) === END) return at
  }
  return -1
}

const FOREIGN = [
  ['\x1f\x8b', 'a gzip file; unpack it first'],
  ['PK\x03\x04', 'a ZIP archive; unpack it first'],
  ['BZh', 'a bzip2 file; unpack it first'],
  ['\xff\xd8\xff', 'a JPEG picture'],
  ['\x89PNG', 'a PNG picture'],
  ['<', 'an HTML or XML page'],
  ['XTENSION', 'a FITS extension without its primary header']
]

function refuseForeign (bytes) {
  const beginning = latin(bytes.subarray(0, 9))
  if (beginning === 'SIMPLE  =') return
  const found = FOREIGN.find(([start]) => beginning.startsWith(start))
  throw new BadFile(found
    ? `not a FITS file: it looks like ${found[1]}`
    : 'not a FITS file: it does not begin with SIMPLE')
}

function refuseUnprintable (bytes, end) {
  for (let at = 0; at < end; at++) {
    if (bytes[at] < 0x20 || bytes[at] > 0x7e) throw new BadFile('a FITS header is printable ASCII up to its END card')
  }
}
