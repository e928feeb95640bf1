// What can be told of a frame from its header before a byte is sent: crowdsky/frames/door.py and
// header.py, lightly. The service has the last word; what it would surely refuse is not sent.

import { BadFile, readHeader } from './header.js'

const BITPIX = [8, 16, 32, 64, -32, -64]
const LEAST_AXIS = 16
const MOST_AXIS = 16_384
const MOST_TRAILING = 1024 * 1024
const LONGEST_S = 3600
const DATE_OBS = /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.(\d{0,12}))?\s*(Z|[+-]\d\d:?\d\d)?$/
const DAY_MS = 86_400_000

/**
 * Read and judge a frame.
 *
 * @param {Blob} file
 * @returns {Promise<object>} the facts of a frame, with `mark`, and `stack` for an on-board stack.
 * @throws {BadFile}
 */
export async function inspectFrame (file) {
  const { cards, dataOffset, mark } = await readHeader(file)
  const { nx, ny, planes, bytes } = layout(cards)
  const expected = dataOffset + bytes
  if (file.size < expected) throw new BadFile(`truncated: its header promises ${expected} bytes, ${file.size} are here`)
  if (file.size - expected > MOST_TRAILING) {
    throw new BadFile(`at most ${MOST_TRAILING} bytes may follow the image, ${file.size - expected} do`)
  }
  if (/^(bias|dark|flat|offset)/i.test(cards.text('IMAGETYP'))) {
    throw new BadFile('a calibration frame, not a light frame')
  }
  const startMs = parseStart(cards)
  const exposureS = exposure(cards)
  return {
    mark,
    stack: planes > 1 || cards.number('STACKCNT') > 1,
    target: cards.text('OBJECT').slice(0, 80).trim(),
    dateObs: new Date(startMs).toISOString(),
    exposureS,
    filter: cards.text('FILTER').toUpperCase().slice(0, 20),
    telescope: (cards.text('TELESCOP') || cards.text('INSTRUME') || cards.text('CREATOR')).slice(0, 60),
    gain: finite(cards.number('GAIN')),
    ra: degrees(cards, 'RA', 15),
    dec: degrees(cards, 'DEC', 1),
    nx,
    ny,
    night: nightOf(startMs, cards.number('SITELONG'))
  }
}

function layout (cards) {
  if (cards.get('SIMPLE') !== true) throw new BadFile('the first card of a FITS file is SIMPLE = T')
  const bitpix = integer(cards, 'BITPIX')
  if (!BITPIX.includes(bitpix)) throw new BadFile(`BITPIX is one of ${BITPIX.join(', ')}`)
  const naxis = integer(cards, 'NAXIS')
  if (naxis === 0) throw new BadFile('the primary HDU holds no image (NAXIS=0)')
  if (naxis !== 2 && naxis !== 3) throw new BadFile('an image has 2 axes, or 3 with colour planes')
  const nx = integer(cards, 'NAXIS1')
  const ny = integer(cards, 'NAXIS2')
  const planes = naxis === 3 ? integer(cards, 'NAXIS3') : 1
  for (const length of [nx, ny]) {
    if (length < LEAST_AXIS || length > MOST_AXIS) {
      throw new BadFile(`an image axis is ${LEAST_AXIS} to ${MOST_AXIS} pixels long`)
    }
  }
  if (planes !== 1 && planes !== 3) throw new BadFile('an image has 1 or 3 planes')
  return { nx, ny, planes, bytes: (nx * ny * planes * Math.abs(bitpix)) / 8 }
}

function integer (cards, keyword) {
  const value = cards.get(keyword)
  if (!Number.isInteger(value)) throw new BadFile(`${keyword} is a required integer`)
  return value
}

function exposure (cards) {
  for (const keyword of ['EXPTIME', 'EXPOSURE']) {
    if (cards.get(keyword) == null) continue
    const value = cards.get(keyword)
    if (typeof value !== 'number' || !(value > 0 && value <= LONGEST_S)) {
      throw new BadFile(`an exposure is longer than 0 s and at most ${LONGEST_S} s`)
    }
    return value
  }
  throw new BadFile('EXPTIME (or EXPOSURE) is needed')
}

/** Milliseconds since 1970; without a zone the time is UTC, as FITS has it. */
function parseStart (cards) {
  const text = cards.get('DATE-OBS')
  if (text == null || text === '') throw new BadFile('DATE-OBS is needed to place the frame in time')
  const match = DATE_OBS.exec(String(text).trim())
  if (!match) throw new BadFile('DATE-OBS is a date and time, YYYY-MM-DDThh:mm:ss')
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number)
  const ms = Number((match[7] ?? '').padEnd(3, '0').slice(0, 3))
  const inOneDay = hour < 24 || (hour === 24 && minute === 0 && second === 0)
  const lastDay = new Date(Date.UTC(year, month, 0)).getUTCDate()
  if (month < 1 || month > 12 || day < 1 || day > lastDay || !inOneDay || minute > 59 || second > 60) {
    throw new BadFile('DATE-OBS names no such day, hour or offset')
  }
  const start = Date.UTC(year, month - 1, day, hour, minute, second, ms) - zoneMs(match[8])
  const found = new Date(start).getUTCFullYear()
  if (found < 2020 || found > 2059) {
    throw new BadFile('DATE-OBS lies between 2020 and 2059; the clock of the telescope was probably not set')
  }
  return start
}

function zoneMs (text) {
  if (!text || text === 'Z') return 0
  const digits = text.slice(1).replace(':', '')
  const ms = (Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2))) * 60_000
  return text[0] === '-' ? -ms : ms
}

/** The date of the evening a frame belongs to, by the Sun where the telescope stands. */
function nightOf (startMs, longitudeDeg) {
  const offsetMs = Math.abs(longitudeDeg) <= 360
    ? (longitudeDeg / 360) * DAY_MS
    : -new Date(startMs).getTimezoneOffset() * 60_000
  return new Date(startMs + offsetMs - DAY_MS / 2).toISOString().slice(0, 10)
}

/** A coordinate in degrees; sexagesimal text counts `perUnit` degrees a unit; null if there is none. */
function degrees (cards, keyword, perUnit) {
  const number = cards.number(keyword)
  if (Number.isFinite(number)) return number
  const match = /^([+-]?)(\d{1,3})[: ](\d{1,2})[: ](\d{1,2}(?:\.\d*)?)$/.exec(cards.text(keyword).trim())
  if (!match) return null
  const value = (Number(match[2]) + Number(match[3]) / 60 + Number(match[4]) / 3600) * perUnit
  return match[1] === '-' ? -value : value
}

function finite (number) {
  return Number.isFinite(number) ? number : null
}
