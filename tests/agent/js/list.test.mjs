import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Cursor, FileList, STATES } from '../../../voila_templates/crowdsky/src/agent/list.js'
import { Rate } from '../../../voila_templates/crowdsky/src/agent/rate.js'
import { Skipped } from '../../../voila_templates/crowdsky/src/agent/skipped.js'

const row = (id, more = {}) => ({
  id, name: `${id}.fit`, path: `a/${id}.fit`, bytes: 100, lastModified: 1, mark: 'm', state: 'queued', sent: 0, paused: false, stored: false,
  finalised: false, ...more
})

function recounted (list) {
  const counts = Object.fromEntries(STATES.map(state => [state, 0]))
  const found = { counts, bytes: 0, sentBytes: 0, unsafe: 0, fresh: 0, held: 0 }
  for (const one of list.rows) {
    counts[one.state] += 1
    const work = ['queued', 'hashing', 'uploading', 'received'].includes(one.state)
    if (one.state !== 'refused') {
      found.bytes += one.bytes
      found.sentBytes += ['received', 'accepted', 'duplicate'].includes(one.state) ? one.bytes : one.sent
    }
    if (work && one.state !== 'received' && !one.stored) found.unsafe += 1
    if (['accepted', 'duplicate'].includes(one.state) && !one.finalised) found.fresh += 1
    if (work && one.paused) found.held += 1
  }
  return found
}

test('counts that are kept are those that counting would give', () => {
  const list = new FileList()
  let seed = 7
  const random = most => { seed = (seed * 1103515245 + 12345) % 2147483648; return seed % most }
  for (let id = 1; id <= 60; id++) list.add(row(id))
  for (let step = 0; step < 3000; step++) {
    const one = list.rows[random(list.length)]
    const kind = random(6)
    if (kind === 0) list.change(one, { state: STATES[random(STATES.length)] })
    else if (kind === 1) list.change(one, { sent: random(100) })
    else if (kind === 2) list.change(one, { paused: random(2) === 1, stored: random(2) === 1 })
    else if (kind === 3) list.change(one, { finalised: random(2) === 1 })
    else if (kind === 4 && list.length > 20) list.remove([one])
    else list.add(row(1000 + step))
    const { counts, bytes, sentBytes, unsafe, fresh, held } = list
    assert.deepEqual({ counts, bytes, sentBytes, unsafe, fresh, held }, recounted(list))
  }
})

test('a file has one row, two files of one name, size and date have two', () => {
  const list = new FileList()
  const one = row(1)
  const other = row(2, { path: one.path, mark: 'other' })
  list.add(one)
  assert.equal(list.find(row(9, { path: one.path })), one)
  assert.equal(list.find(other), undefined)
  list.add(other)
  assert.equal(list.find(other), other)
  assert.equal(list.find(one), one)
  list.remove([one])
  assert.equal(list.find(one), undefined)
})

test('a cursor looks at what is done once', () => {
  const list = new FileList()
  for (let id = 1; id <= 1000; id++) list.add(row(id))
  let looked = 0
  const cursor = new Cursor(list, one => one.state === 'queued', one => { looked += 1; return one.state === 'accepted' })
  for (let next = cursor.next(); next; next = cursor.next()) list.change(next, { state: 'accepted' })
  assert.ok(looked <= 2002, `${looked} looks`)
})

test('100,000 rows: pages of them and counts cost next to nothing', () => {
  const list = new FileList()
  for (let id = 1; id <= 100_000; id++) list.add(row(id))
  const began = performance.now()
  for (let at = 0; at < 100_000; at += 10) list.change(list.rows[at], { state: 'accepted' })
  const perChange = (performance.now() - began) / 10_000
  const scan = performance.now()
  list.rows.filter(one => one.state === 'accepted')
  const perScan = performance.now() - scan
  assert.ok(perChange < perScan, `a change took ${perChange} ms, a scan ${perScan} ms`)
  assert.equal(list.counts.accepted, 10_000)
})

test('the rate is of the last seconds, and unknown at first', () => {
  let now = 0
  const rate = new Rate(() => now)
  assert.equal(rate.bytesPerS, 0)
  rate.restart()
  rate.add(1000)
  assert.equal(rate.bytesPerS, 0) // too early to say
  now = 2000
  assert.equal(rate.bytesPerS, 500)
  now = 40_000
  assert.equal(rate.bytesPerS, 0)
})

test('what is set aside counts once, also after a restart', () => {
  const skipped = new Skipped()
  skipped.add('a/1.jpg', 'picture or thumbnail')
  skipped.add('a/1.jpg', 'picture or thumbnail')
  skipped.add('a/1.mp4', 'video')
  const again = Skipped.from(structuredClone(skipped.kept))
  again.add('a/1.jpg', 'picture or thumbnail')
  assert.equal(again.count, 2)
  assert.deepEqual(again.reasons, [{ reason: 'picture or thumbnail', files: 1 }, { reason: 'video', files: 1 }])
})
