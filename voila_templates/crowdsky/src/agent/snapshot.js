// What pages show of the queue: made of kept counts, so it costs the same for ten rows and 100,000.

export const EMPTY = {
  state: 'empty',
  reason: '',
  files: 0,
  bytes: 0,
  sentFiles: 0,
  sentBytes: 0,
  resentBytes: 0,
  counts: { queued: 0, hashing: 0, uploading: 0, received: 0, accepted: 0, duplicate: 0, refused: 0, skipped: 0, lost: 0 },
  rateBytesPerS: 0,
  secondsLeft: null,
  finalisable: false,
  listVersion: 0,
  question: null,
  receipt: null,
  where: 'page',
  safeFiles: 0, // rows that a crash of the browser does not cost
  fragile: false, // leaving the page would lose something
  loading: false
}

const NOT_KEPT = 'This browser keeps nothing for this address: it is not secure (HTTPS). Stay on the page until all is sent.'
const NO_ROOM = 'The browser has no room to keep all files. They are sent from where they are: keep them there until all is sent.'

export function makeSnapshot (engine) {
  const { list, gate, rate, totals, skipped, store, storer } = engine
  const state = stateOf(engine)
  const rateBytesPerS = state === 'uploading' ? rate.bytesPerS : 0
  const left = list.bytes - list.sentBytes
  return {
    state,
    reason: reasonOf(engine, state),
    files: list.length,
    bytes: list.bytes,
    sentFiles: list.sentFiles,
    sentBytes: list.sentBytes,
    resentBytes: totals.resentBytes,
    counts: { ...list.counts, skipped: skipped.count },
    rateBytesPerS,
    secondsLeft: rateBytesPerS > 0 ? left / rateBytesPerS : null,
    finalisable: list.fresh > 0 && list.work === 0 && list.counts.lost === 0 && engine.scans.size === 0 && !engine.finaliser.isRunning,
    listVersion: list.version,
    question: questionOf(engine),
    receipt: totals.receipt,
    where: engine.where,
    safeFiles: list.length - list.counts.refused - list.counts.lost - list.unsafe,
    fragile: list.unsafe > 0 && (!store.keeps || storer.isFull || !engine.outlivesPages),
    loading: false
  }

  function stateOf () {
    if (engine.scans.size > 0) return 'scanning'
    if (list.length === 0) return engine.cutScan ? 'needs-files' : 'empty'
    if (list.work > 0) {
      if (gate.state === 'signed-out') return 'signed-out'
      if (totals.paused || (list.held > 0 && list.held === list.work)) return 'paused'
      return gate.state === 'waiting' ? 'waiting' : 'uploading'
    }
    return list.counts.lost > 0 || engine.cutScan ? 'needs-files' : 'done'
  }

  function reasonOf () {
    if (state === 'signed-out' || state === 'waiting') return gate.reason
    if (list.unsafe > 0 && !store.keeps) return NOT_KEPT
    if (list.unsafe > 0 && storer.isFull) return NO_ROOM
    return ''
  }

  function questionOf () {
    const wanted = list.length - list.counts.refused
    if (engine.scans.size > 0 || (list.counts.lost === 0 && !engine.cutScan)) return null
    return {
      kind: 'choose-again',
      safe: wanted - list.counts.lost,
      total: Math.max(wanted, engine.cutScan?.total ?? 0)
    }
  }
}
