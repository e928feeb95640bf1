// An engine with a real store of fake-indexeddb and a service behind `fetch`.

import 'fake-indexeddb/auto'

import { Commands } from '../../../voila_templates/crowdsky/src/agent/commands.js'
import { Engine } from '../../../voila_templates/crowdsky/src/agent/engine.js'
import { Store } from '../../../voila_templates/crowdsky/src/agent/store.js'
import { API, FakeService } from './fake_service.mjs'

let users = 0
const open = new Set()

export function newService () {
  const service = new FakeService()
  service.user = `ann-${++users}` // a queue for each test
  globalThis.fetch = service.fetch
  return service
}

export async function openEngine (service, { store = null, user = service.user } = {}) {
  const snapshots = []
  const engine = new Engine({
    user,
    api: API,
    store: store ?? await Store.open(user),
    where: 'page',
    outlivesPages: false,
    onSnapshot: snapshot => snapshots.push(snapshot)
  })
  await engine.open()
  const commands = new Commands(engine, () => new Promise(() => {}))
  open.add(engine)
  return { engine, commands, snapshots }
}

/** As if the process was killed: nothing is written down any more, nothing is sent. */
export async function kill ({ engine }) {
  open.delete(engine)
  engine.list.changed.clear()
  await engine.close()
}

export async function closeAll () {
  for (const engine of open) await engine.close()
  open.clear()
}

let scans = 0
export async function add (commands, files, skipped = []) {
  const scan = `scan-${++scans}`
  await commands.scanBegin({ scan, page: 'page', total: files.length })
  await commands.addBatch({ files, skipped })
  await commands.scanEnd({ scan })
}

export async function until (condition, what, ms = 10_000) {
  const end = Date.now() + ms
  while (!await condition()) {
    if (Date.now() > end) throw new Error(`waited ${ms} ms until ${what}`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

export const state = (engine, wanted) => until(() => engine.snapshot().state === wanted, `the state is ${wanted}`)
