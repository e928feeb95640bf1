/**
 * The upload agent: `createAgent({ user, api, base, workerUrl })`, called once by every page.
 *
 * - `user`: the visitor's name; empty where nobody is signed in (then there is nothing to upload).
 * - `api`: the service's API, `/services/crowdsky/api/v1`.
 * - `base`: the pages' own address, `/services/pages/`; not used here.
 * - `workerUrl`: address of the script built from `agent_worker.js`; empty: without a SharedWorker.
 *
 * The agent it gives has
 *
 * - `subscribe(fn)`: `fn(snapshot)` at once and then at most 8 times a second; gives `unsubscribe`.
 *   See `snapshot.js` for what is in it. `files` counts all rows, `sentFiles` those the service has
 *   (also as duplicates); `bytes` and `sentBytes` leave out what is refused, so the bar gets full.
 * - `addFiles(files)`, `addDrop(dataTransferItems)`: resolve when all is in the list; nothing is sent
 *   before. `addDrop` must be called in the drop event itself.
 * - `pause()`, `resume()`, `pauseFile(id)`, `resumeFile(id)`, `retry(id)`, `remove(id)`, `clear()`
 * - `giveUpLost()`: go on without the files that `snapshot.question` asks for.
 * - `rows({offset, limit, filter})`, `summary()`, `finalise()`
 *
 * All but `subscribe` give promises. Errors have `kind` (`offline`, `signed-out`, `other-user`,
 * `refused`, `not-yet`) and a message for the visitor.
 */

import { Connection } from './connection.js'
import { filesOfDrop, filesOfList } from './scan/drop.js'
import { EMPTY } from './snapshot.js'

const BATCH = 100

export function createAgent ({ user, api, workerUrl = '' }) {
  if (!user) return nobody()
  const listeners = new Set()
  let snapshot = { ...EMPTY, loading: true }
  let scans = 0
  const connection = new Connection(
    { user, api: new URL(api, location.href).href, workerUrl },
    fresh => {
      snapshot = fresh
      for (const listener of listeners) tell(listener, snapshot)
    }
  )
  const opened = connection.open()
  opened.catch(error => console.error(error))
  const call = (method, args) => connection.call(method, args)

  globalThis.addEventListener?.('online', () => call('nudge'))
  globalThis.document?.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible' && snapshot.reason) call('nudge')
  })
  globalThis.addEventListener?.('beforeunload', event => {
    if (snapshot.fragile) event.preventDefault()
  })

  async function add (found) {
    const scan = `${connection.page}-${++scans}`
    const { page } = connection
    try {
      await call('scanBegin', { scan, page })
      const all = await found
      await call('scanBegin', { scan, page, total: all.filter(one => !one.skip).length })
      let files = []
      let skipped = []
      for (const { path, skip, open } of all) {
        if (skip) skipped.push({ path, skip })
        else {
          try {
            files.push({ path, file: await open() })
          } catch {
            skipped.push({ path, skip: 'cannot be read' })
          }
        }
        if (files.length === BATCH || skipped.length === 10 * BATCH) {
          await call('addBatch', { files, skipped })
          files = []
          skipped = []
        }
      }
      await call('addBatch', { files, skipped })
    } finally {
      await call('scanEnd', { scan })
    }
    // Asks the browser not to make room by throwing our files away; most decide without a question.
    navigator.storage?.persist?.().catch(() => {})
  }

  return {
    user,
    subscribe (listener) {
      listeners.add(listener)
      tell(listener, snapshot)
      return () => listeners.delete(listener)
    },
    addFiles: files => add(filesOfList(files)),
    addDrop: items => add(filesOfDrop(items)),
    pause: () => call('pause'),
    resume: () => call('resume'),
    pauseFile: id => call('pauseFile', { id }),
    resumeFile: id => call('resumeFile', { id }),
    retry: id => call('retry', { id }),
    remove: id => call('remove', { id }),
    clear: () => call('clear'),
    giveUpLost: () => call('giveUpLost'),
    rows: which => call('rows', which),
    summary: () => call('summary'),
    finalise: () => call('finalise'),
    close: () => connection.close()
  }
}

function tell (listener, snapshot) {
  try {
    listener(snapshot)
  } catch (error) {
    console.error(error) // one bad listener silences no other
  }
}

/** What a visitor has who is not signed in. */
function nobody () {
  const refuse = async () => {
    throw Object.assign(new Error('log in to upload'), { kind: 'signed-out' })
  }
  const names = [
    'addFiles', 'addDrop', 'pause', 'resume', 'pauseFile', 'resumeFile', 'retry', 'remove', 'clear', 'giveUpLost', 'finalise'
  ]
  return {
    user: '',
    ...Object.fromEntries(names.map(name => [name, refuse])),
    subscribe (listener) {
      tell(listener, EMPTY)
      return () => {}
    },
    rows: async () => ({ total: 0, rows: [] }),
    summary: async () => ({
      frames: 0, bytes: 0, blocks: 0, here: 0, refused: 0, skipped: 0, archives: 0, targets: [], nights: [], filters: [], skippedReasons: []
    }),
    close: async () => {}
  }
}
