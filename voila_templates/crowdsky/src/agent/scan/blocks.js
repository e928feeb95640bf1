// Which frames will be stacked together: crowdsky/frames/group.py, lightly. The service decides;
// this is what is shown before anything is sent.

const BLOCK_MS = 900_000
const SESSION_GAP_MS = 4 * 3_600_000
const RADIUS_COS = Math.cos((0.35 * Math.PI) / 180)

/**
 * Part frames into blocks.
 *
 * @param {object[]} rows with the facts of their headers; others are left out.
 * @returns {Map<number, string>} the label of each frame's block, by the row's id.
 */
export function groupBlocks (rows) {
  const setups = new Map()
  for (const row of rows) {
    if (!row.dateObs) continue
    const setup = [row.telescope, row.filter, row.exposureS, row.gain, row.nx, row.ny].join('|')
    if (!setups.has(setup)) setups.set(setup, [])
    setups.get(setup).push({ row, ms: Date.parse(row.dateObs), towards: direction(row) })
  }
  const chunks = new Map() // block -> its frames
  let number = 0
  for (const frames of setups.values()) {
    frames.sort((a, b) => a.ms - b.ms)
    for (const session of sessions(frames)) {
      for (const place of places(session)) {
        number += 1
        for (const frame of place) {
          const block = `${number}|${Math.floor(frame.ms / BLOCK_MS)}`
          if (!chunks.has(block)) chunks.set(block, [])
          chunks.get(block).push(frame)
        }
      }
    }
  }
  return labelled(chunks)
}

function sessions (frames) {
  const found = []
  for (const frame of frames) {
    const last = found.at(-1)
    if (last && frame.ms - last.at(-1).ms <= SESSION_GAP_MS) last.push(frame)
    else found.push([frame])
  }
  return found
}

function places (session) {
  const found = []
  const homeless = new Map() // by target: frames whose header gives no position
  for (const frame of session) {
    if (!frame.towards) {
      const near = found.find(place => place.target === frame.row.target)
      if (near) near.frames.push(frame)
      else if (homeless.has(frame.row.target)) homeless.get(frame.row.target).push(frame)
      else homeless.set(frame.row.target, [frame])
      continue
    }
    let nearest = null
    let best = RADIUS_COS
    for (const place of found) {
      const cosine = dot(place.sum, frame.towards) / Math.hypot(...place.sum)
      if (cosine >= best) [nearest, best] = [place, cosine]
    }
    if (!nearest) found.push(nearest = { target: frame.row.target, sum: [0, 0, 0], frames: [] })
    nearest.sum = nearest.sum.map((part, axis) => part + frame.towards[axis])
    nearest.frames.push(frame)
  }
  return [...found.map(place => place.frames), ...homeless.values()]
}

/** `20250327.05 M 94 IRCUT 10 s`; blocks that would read alike are numbered. */
function labelled (chunks) {
  const labels = new Map()
  const seen = new Map()
  for (const frames of chunks.values()) {
    const { row, ms } = frames[0]
    const start = new Date(Math.floor(ms / BLOCK_MS) * BLOCK_MS)
    const day = start.toISOString().slice(0, 10).replaceAll('-', '')
    const chunk = String((start.getUTCHours() * 60 + start.getUTCMinutes()) / 15).padStart(2, '0')
    const parts = [`${day}.${chunk}`, row.target || 'no target', row.filter, `${row.exposureS} s`]
    const text = parts.filter(Boolean).join(' ')
    const count = (seen.get(text) ?? 0) + 1
    seen.set(text, count)
    for (const frame of frames) labels.set(frame.row.id, count > 1 ? `${text} (${count})` : text)
  }
  return labels
}

function direction (row) {
  if (row.ra == null || row.dec == null || Math.abs(row.dec) > 90) return null
  const [ra, dec] = [row.ra, row.dec].map(degrees => (degrees * Math.PI) / 180)
  return [Math.cos(dec) * Math.cos(ra), Math.cos(dec) * Math.sin(ra), Math.sin(dec)]
}

function dot (a, b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}
