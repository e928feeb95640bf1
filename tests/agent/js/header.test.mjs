import assert from 'node:assert/strict'
import { test } from 'node:test'

import { inspectFrame } from '../../../voila_templates/crowdsky/src/agent/scan/check.js'
import { readHeader } from '../../../voila_templates/crowdsky/src/agent/scan/header.js'
import { fits } from './fits.mjs'

const says = (blob, message) => assert.rejects(inspectFrame(blob), { message })

test('the facts of a frame', async () => {
  const { mark, ...facts } = await inspectFrame(fits())
  assert.deepEqual(facts, {
    stack: false, target: 'M 94', dateObs: '2025-03-27T01:20:32.955Z', exposureS: 10, filter: 'IRCUT', telescope: 'S50_1d3fe189',
    gain: 80, ra: 193.04166, dec: 40.970556, nx: 32, ny: 48, night: '2025-03-26'
  })
  assert.notEqual(mark, (await inspectFrame(fits({ OBJECT: 'M 95' }))).mark)
})

test('odd cards are read as FITS has them', async () => {
  const { cards } = await readHeader(fits(
    { OBJECT: "Barnard's", GAIN: { raw: ' 8.0D1 / gain' }, FILTER: { raw: "'LP&'" }, EMPTY: { raw: '' } },
    { extra: ["CONTINUE  ' and more'", 'COMMENT   = not a value', "GAIN    = 'twice'"] }
  ))
  assert.equal(cards.get('OBJECT'), "Barnard's")
  assert.equal(cards.get('GAIN'), 80)
  assert.equal(cards.get('EMPTY'), null)
  assert.equal(cards.get('NOT'), undefined)
  const long = await readHeader(fits({ OBJECT: null }, { extra: ["OBJECT  = 'one &'", "CONTINUE  'two'"] }))
  assert.equal(long.cards.get('OBJECT'), 'one two')
})

test('a long header is read to its end, and one without an end is not read for ever', async () => {
  const comments = Array.from({ length: 500 }, (_, number) => `COMMENT ${number}`)
  const { cards, dataOffset } = await readHeader(fits({}, { extra: comments }))
  assert.equal(cards.get('OBJECT'), 'M 94')
  assert.equal(dataOffset % 2880, 0)
  let read = 0
  const endless = fits({}, { extra: Array.from({ length: 5000 }, () => 'COMMENT') })
  const counting = { size: endless.size, slice: (from, to) => { read += to - from; return endless.slice(from, to) } }
  await assert.rejects(readHeader(counting), { message: 'no END card within the first 2000 cards' })
  assert.ok(read < 200_000, `${read} bytes were read`)
})

test('what is no frame is refused in plain words', async () => {
  await says(new Blob([]), 'not a FITS file: it is empty')
  await says(new Blob(['\xff\xd8\xff'.split('').map(c => c.charCodeAt(0))].map(a => new Uint8Array(a))), 'not a FITS file: it looks like a JPEG picture')
  await says(new Blob(['<html>']), 'not a FITS file: it looks like an HTML or XML page')
  await says(new Blob([new Uint8Array(100).fill(7)]), 'not a FITS file: it does not begin with SIMPLE')
  await says(fits({}, { end: '' }), 'a FITS header is printable ASCII up to its END card')
  await says(fits({ OBJECT: { raw: "'caf\u00e9'" } }), 'a FITS header is printable ASCII up to its END card')
})

test('a size that the header belies is refused', async () => {
  const whole = fits()
  await says(whole.slice(0, 2880 + 3071), 'truncated: its header promises 5952 bytes, 5951 are here')
  await inspectFrame(whole.slice(0, 2880 + 3072)) // without its padding it is whole
  await says(fits({}, { dataBytes: 3072 + 1024 * 1024 + 1 }), 'at most 1048576 bytes may follow the image, 1048577 do')
  await says(fits({ NAXIS1: 2147483647 }, { dataBytes: 2880 }), 'an image axis is 16 to 16384 pixels long')
  await says(fits({ NAXIS: 999 }), 'an image has 2 axes, or 3 with colour planes')
  await says(fits({ NAXIS2: -48 }, { dataBytes: 2880 }), 'an image axis is 16 to 16384 pixels long')
  await says(fits({ BITPIX: 17 }), 'BITPIX is one of 8, 16, 32, 64, -32, -64')
})

test('times and exposures that no stack can use are refused', async () => {
  await says(fits({ 'DATE-OBS': null }), 'DATE-OBS is needed to place the frame in time')
  await says(fits({ 'DATE-OBS': '2025-03-27' }), 'DATE-OBS is a date and time, YYYY-MM-DDThh:mm:ss')
  await says(fits({ 'DATE-OBS': '2025-02-30T00:00:00' }), 'DATE-OBS names no such day, hour or offset')
  await says(fits({ 'DATE-OBS': '1858-11-17T00:00:00' }), 'DATE-OBS lies between 2020 and 2059; the clock of the telescope was probably not set')
  await says(fits({ EXPTIME: 0 }), 'an exposure is longer than 0 s and at most 3600 s')
  await says(fits({ EXPTIME: null }), 'EXPTIME (or EXPOSURE) is needed')
  await says(fits({ IMAGETYP: 'Dark' }), 'a calibration frame, not a light frame')
  assert.equal((await inspectFrame(fits({ 'DATE-OBS': '2025-03-27T24:00:00' }))).dateObs, '2025-03-28T00:00:00.000Z')
  assert.equal((await inspectFrame(fits({ 'DATE-OBS': '2025-06-30T23:59:60.5Z' }))).dateObs, '2025-07-01T00:00:00.500Z')
  assert.equal((await inspectFrame(fits({ 'DATE-OBS': '2025-03-27T03:20:00+02:00' }))).dateObs, '2025-03-27T01:20:00.000Z')
})

test('an on-board stack is told by its planes or its count, never by IMAGETYP', async () => {
  assert.equal((await inspectFrame(fits({ NAXIS: 3, NAXIS3: 3 }, { dataBytes: 11520 }))).stack, true)
  assert.equal((await inspectFrame(fits({ STACKCNT: 12 }))).stack, true)
  assert.equal((await inspectFrame(fits({ IMAGETYP: 'Light', STACKCNT: 1 }))).stack, false)
})
