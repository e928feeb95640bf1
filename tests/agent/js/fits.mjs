// FITS files and a night of them, for the tests.

const BLOCK = 2880

export const CARDS = {
  SIMPLE: true, BITPIX: 16, NAXIS: 2, NAXIS1: 32, NAXIS2: 48, BZERO: 32768, EXPTIME: 10.0, RA: 193.04166, DEC: 40.970556,
  'DATE-OBS': '2025-03-27T01:20:32.955368', FILTER: 'IRCUT', INSTRUME: 'Seestar S50', BAYERPAT: 'GRBG', GAIN: 80,
  TELESCOP: 'S50_1d3fe189', OBJECT: 'M 94', SITELONG: -79.76
}

export function card (keyword, value) {
  let field
  if (typeof value === 'boolean') field = (value ? 'T' : 'F').padStart(20)
  else if (typeof value === 'string') field = `'${value.replaceAll("'", "''").padEnd(8)}'`
  else if (value?.raw !== undefined) field = value.raw
  else field = String(value).padStart(20)
  return `${keyword.padEnd(8)}= ${field}`.padEnd(80)
}

/** The bytes of a file; a card of `null` is left out. */
export function fits (changes = {}, { extra = [], dataBytes = null, seed = 0, end = 'END'.padEnd(80) } = {}) {
  const cards = { ...CARDS, ...changes }
  const text = Object.entries(cards).filter(([, value]) => value !== null).map(([key, value]) => card(key, value)).join('') +
    extra.map(line => line.padEnd(80)).join('') + end
  const header = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / BLOCK) * BLOCK))
  const data = new Uint8Array(dataBytes ?? Math.ceil((cards.NAXIS1 * cards.NAXIS2 * 2) / BLOCK) * BLOCK)
  data.fill(seed % 251)
  new DataView(data.buffer).setUint32(0, seed)
  return new Blob([header, data])
}

export function named (blob, name, lastModified = 1_700_000_000_000) {
  return new File([blob], name, { lastModified })
}

/** `count` frames as the page hands them over. */
export function night (count, { folder = 'M 94_sub', first = 0 } = {}) {
  return Array.from({ length: count }, (_, at) => {
    const name = `Light_M 94_10.0s_IRCUT_20250327-${String(first + at).padStart(6, '0')}.fit`
    const start = new Date(Date.UTC(2025, 2, 27, 1, 20) + (first + at) * 10_000).toISOString().slice(0, -1)
    return { path: `${folder}/${name}`, file: named(fits({ 'DATE-OBS': start }, { seed: first + at }), name) }
  })
}
