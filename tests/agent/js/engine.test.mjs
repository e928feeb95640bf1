import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { afterEach, test } from 'node:test'

import { NoStore, Store } from '../../../voila_templates/crowdsky/src/agent/store.js'
import { add, closeAll, kill, newService, openEngine, state, until } from './bench.mjs'
import { json } from './fake_service.mjs'
import { fits, named, night } from './fits.mjs'

afterEach(closeAll)

const all = commands => commands.rows({ limit: 1000 }).then(({ rows }) => rows)
const states = async commands => (await all(commands)).map(row => row.state)
const hashOf = async blob => createHash('sha256').update(Buffer.from(await blob.arrayBuffer())).digest('hex')

test('a night is sent, each byte once, and its bytes are let go', async () => {
  const service = newService()
  const { engine, commands } = await openEngine(service)
  const files = night(20)
  await add(commands, files, [{ path: 'a/x.jpg', skip: 'picture or thumbnail' }])
  assert.equal((await commands.summary()).frames, 20)
  await state(engine, 'done')
  const snapshot = engine.snapshot()
  assert.deepEqual(snapshot.counts, { queued: 0, hashing: 0, uploading: 0, received: 0, accepted: 20, duplicate: 0, refused: 0, lost: 0, skipped: 1 })
  assert.equal(snapshot.sentBytes, snapshot.bytes)
  assert.equal(snapshot.resentBytes, 0)
  assert.equal(snapshot.finalisable, true)
  assert.equal(service.uploads.size, 20)
  assert.deepEqual([...service.frames].sort(), (await Promise.all(files.map(({ file }) => hashOf(file)))).sort())
  const store = await Store.open(service.user)
  for (const row of engine.list.rows) assert.equal(await store.blob(row.id), null)
  store.close()
})

test('the summary is complete before a byte is sent', async () => {
  const service = newService()
  const { commands } = await openEngine(service)
  await commands.scanBegin({ scan: 's', page: 'p' })
  await commands.addBatch({ files: [...night(100), ...night(2, { folder: 'other', first: 200 })], skipped: [] })
  const { frames, blocks, targets, nights, filters } = await commands.summary()
  assert.equal(frames, 102)
  assert.equal(blocks, 3) // 01:15, 01:30 and, 2,000 s later, 01:45
  assert.deepEqual(targets, [{ name: 'M 94', frames: 102 }])
  assert.deepEqual(nights, [{ name: '2025-03-26', frames: 102 }])
  assert.deepEqual(filters, [{ name: 'IRCUT', frames: 102 }])
  assert.equal(service.uploads.size, 0)
  await commands.scanEnd({ scan: 's' })
})

test('finalise: one request for two calls, none for a third; the receipt is complete', async () => {
  const service = newService()
  const { engine, commands } = await openEngine(service)
  const files = night(3)
  service.frames.add(await hashOf(files[1].file))
  await add(commands, [...files, { path: 'a/bad.fit', file: named(new Blob(['<html>']), 'bad.fit') }])
  await assert.rejects(commands.finalise(), { kind: 'not-yet' })
  await state(engine, 'done')
  assert.equal(engine.snapshot().finalisable, true) // whatever was refused
  const [one, other] = await Promise.all([commands.finalise(), commands.finalise()])
  const third = await commands.finalise()
  assert.equal(service.count('POST', /finalise/), 1)
  assert.deepEqual(one, other)
  assert.deepEqual(one, third)
  const hashes = (await Promise.all(files.map(({ file }) => hashOf(file)))).sort()
  const { whenMs, ...receipt } = one.receipt
  assert.deepEqual(receipt, {
    files: 4, bytes: files.reduce((sum, { file }) => sum + file.size, 0), accepted: 2, duplicates: 1, refused: 1, jobs: [7, 8],
    digest: createHash('sha256').update(hashes.map(hash => `${hash}\n`).join('')).digest('hex')
  })
  assert.equal(engine.snapshot().finalisable, false)
  await add(commands, night(1, { first: 50 }))
  await state(engine, 'done')
  assert.equal(engine.snapshot().finalisable, true)
  assert.equal((await commands.finalise()).receipt.files, 1)
})

test('duplicates are found without being sent, also twins in one list', async () => {
  const service = newService()
  const { engine, commands } = await openEngine(service)
  const files = night(6)
  for (const { file } of files.slice(0, 4)) service.frames.add(await hashOf(file))
  const twin = { path: 'copy/renamed.fit', file: named(files[5].file, 'renamed.fit') }
  await add(commands, [...files, twin])
  await state(engine, 'done')
  assert.deepEqual(await states(commands), [...Array(4).fill('duplicate'), 'accepted', 'accepted', 'duplicate'])
  assert.equal(service.uploads.size, 2)
  await add(commands, files) // the folder once more
  assert.equal(engine.list.length, 7)
})

test('bad files are refused here with a reason and a remedy, and stop nobody', async () => {
  const service = newService()
  const { engine, commands } = await openEngine(service)
  const bad = [['empty.fit', new Blob([])], ['jpeg.fit', new Blob([new Uint8Array([255, 216, 255])])], ['cut.fit', fits().slice(0, 4000)]]
  await add(commands, [...bad.map(([name, blob]) => ({ path: `a/${name}`, file: named(blob, name) })), ...night(2)])
  await state(engine, 'done')
  const { rows, total } = await commands.rows({ filter: 'problems' })
  assert.equal(total, 3)
  assert.deepEqual(rows.map(row => row.reason), [
    'not a FITS file: it is empty', 'not a FITS file: it looks like a JPEG picture', 'truncated: its header promises 5952 bytes, 4000 are here'
  ])
  assert.ok(rows.every(row => row.remedy))
  assert.equal(service.uploads.size, 2)
})

test('what the service refuses is listed with its reason; what it refuses to begin, too', async () => {
  const service = newService()
  service.verdict = upload => upload.metadata.filename.endsWith('1.fit') ? { outcome: 'refused', reason: 'colour pattern: é' } : { outcome: 'accepted', reason: '' }
  service.fail.push((method, path) => method === 'POST' && path === '/api/v1/uploads' && json(413, { message: 'a frame has at most 64 MB' }))
  const { engine, commands } = await openEngine(service)
  await add(commands, night(3))
  await state(engine, 'done')
  const refused = (await all(commands)).filter(row => row.state === 'refused')
  assert.deepEqual(refused.map(row => row.reason).sort(), ['a frame has at most 64 MB', 'colour pattern: é'])
  assert.equal(engine.snapshot().finalisable, true)
})

test('a file whose bits broke on their way is read and sent once more', async () => {
  const service = newService()
  let broken = 1
  service.verdict = () => broken-- > 0 ? { outcome: 'refused', reason: 'the SHA-256 of the file is not the announced one' } : { outcome: 'accepted', reason: '' }
  const { engine, commands } = await openEngine(service)
  await add(commands, night(1))
  await state(engine, 'done')
  assert.deepEqual(await states(commands), ['accepted'])
  assert.equal(service.uploads.size, 2)
})

test('the network goes and comes: it waits, says so, and goes on', async () => {
  const service = newService()
  const { engine, commands, snapshots } = await openEngine(service)
  let away = true
  service.fail.push(...Array.from({ length: 1000 }, () => () => away && new TypeError('Failed to fetch')))
  await add(commands, night(5))
  await state(engine, 'waiting')
  assert.match(engine.snapshot().reason, /No connection/)
  await until(() => snapshots.some(snapshot => snapshot.state === 'waiting'), 'pages are told')
  away = false
  await commands.nudge()
  await state(engine, 'done')
  assert.equal(service.uploads.size, 5)
})

test('507 waits with the words of the service; Retry-After is honoured', async () => {
  const service = newService()
  const full = () => json(507, { message: 'no space for uploads just now' }, { 'Retry-After': '1' })
  service.fail.push((method, path) => method === 'POST' && path === '/api/v1/uploads' && full())
  const { engine, commands } = await openEngine(service)
  await add(commands, night(2))
  await state(engine, 'waiting')
  assert.equal(engine.snapshot().reason, 'no space for uploads just now')
  const began = Date.now()
  await state(engine, 'done')
  assert.ok(Date.now() - began > 500)
  assert.deepEqual(await states(commands), ['accepted', 'accepted'])
})

test('signed out: nothing is lost, and it goes on after the log-in', async () => {
  const service = newService()
  const { engine, commands } = await openEngine(service)
  service.signedIn = false
  await add(commands, night(4))
  await state(engine, 'signed-out')
  assert.match(engine.snapshot().reason, /Log in again/)
  assert.equal(service.uploads.size, 0)
  service.hubKnows = true // now the visitor has logged in at the Hub
  await commands.nudge()
  await state(engine, 'done')
  assert.deepEqual(await states(commands), Array(4).fill('accepted'))
})

test('nothing is sent as somebody else', async () => {
  const service = newService()
  const { engine, commands } = await openEngine(service)
  const own = service.user
  service.user = 'bob'
  engine.api.doubt()
  await add(commands, night(2))
  await state(engine, 'signed-out')
  assert.match(engine.snapshot().reason, /Another account/)
  assert.equal(service.uploads.size, 0)
  service.user = own
  await commands.nudge()
  await state(engine, 'done')
})

test('an upload that is not found for somebody else is not given up', async () => {
  const service = newService()
  const { engine, commands } = await openEngine(service)
  const own = service.user
  service.fail.push(method => {
    if (method !== 'PATCH') return undefined
    service.user = 'bob'
    return json(404, { message: 'no such upload' })
  })
  await add(commands, night(1))
  await state(engine, 'signed-out')
  assert.equal(engine.list.rows[0].url, 'http://site.test/services/crowdsky/api/v1/uploads/' + '1'.padStart(32, '0'))
  service.user = own
  await commands.nudge()
  await state(engine, 'done')
  assert.equal(service.uploads.size, 1)
})

test('what the service says of an account is told, and being busy is called so', async () => {
  const service = newService()
  const { engine, commands } = await openEngine(service)
  await until(() => engine.api.limits, 'it knows who is there')
  service.fail.push((method, path) => path.endsWith('/have') && json(403, { message: 'this account is closed' }))
  service.fail.push((method, path) => method === 'POST' && path.endsWith('/uploads') && json(403, { message: 'this account is closed' }))
  service.fail.push((method, path) => method === 'POST' && path.endsWith('/uploads') && json(503, { message: 'x' }, { 'Retry-After': '60' }))
  await add(commands, night(1))
  await state(engine, 'waiting')
  assert.equal(engine.snapshot().reason, 'this account is closed')
  await commands.nudge()
  await until(() => /busy or restarting/.test(engine.snapshot().reason), 'it is busy')
  await commands.nudge()
  await state(engine, 'done')
})

test('a gone upload is begun anew; conflicts are tried again', async () => {
  const service = newService()
  service.fail.push((method) => method === 'PATCH' && json(410, { message: 'expired' }))
  service.fail.push((method) => method === 'PATCH' && json(409, { message: 'a newer request continues this upload' }))
  const { engine, commands } = await openEngine(service)
  await add(commands, night(3))
  await state(engine, 'done')
  assert.deepEqual(await states(commands), Array(3).fill('accepted'))
})

test('an archive is sent as it is, and what was in it is told', async () => {
  const service = newService()
  service.verdict = upload => {
    upload.items = [
      { name: 'a.fit', outcome: 'accepted', reason: '' }, { name: 'b.fit', outcome: 'refused', reason: 'truncated' },
      { name: '12 files', outcome: 'skipped', reason: 'video' }
    ]
    return { outcome: 'accepted', reason: '' }
  }
  const { engine, commands } = await openEngine(service)
  await add(commands, [{ path: 'night.zip', file: named(new Blob(['PK\x03\x04...']), 'night.zip') }])
  await state(engine, 'done')
  const [row] = (await commands.rows({ filter: 'problems' })).rows
  assert.equal(row.state, 'accepted')
  assert.equal(row.reason, '1 files in it were refused: truncated')
  const { receipt } = await commands.finalise()
  assert.deepEqual([receipt.accepted, receipt.refused, receipt.files], [1, 1, 1])
})

test('received: asked for until it is decided; a copy is called a copy', async () => {
  const service = newService()
  service.verdict = () => ({ outcome: 'received', reason: 'still being looked at' })
  const { engine, commands } = await openEngine(service)
  await add(commands, night(1))
  await until(() => engine.snapshot().counts.received === 1, 'it is received')
  assert.equal(engine.snapshot().finalisable, false)
  const [upload] = service.uploads.values()
  Object.assign(upload, { state: 'accepted', reason: 'already here', items: [{ name: 'x', outcome: 'duplicate', reason: 'already here' }] })
  await state(engine, 'done')
  assert.deepEqual(await states(commands), ['duplicate'])
})

test('pause and resume, one and all; remove ends the upload at the service', async () => {
  const service = newService()
  const { engine, commands } = await openEngine(service)
  await commands.scanBegin({ scan: 's', page: 'p' })
  await commands.addBatch({ files: night(4), skipped: [] })
  await commands.pauseFile({ id: 2 })
  await commands.scanEnd({ scan: 's' })
  await state(engine, 'paused') // but for the one, all are sent
  assert.deepEqual(await states(commands), ['accepted', 'queued', 'accepted', 'accepted'])
  service.fail.push((method) => method === 'PATCH' && new TypeError('cut'))
  await commands.resumeFile({ id: 2 })
  await state(engine, 'waiting')
  assert.equal(service.uploads.size, 4)
  await commands.remove({ id: 2 })
  await commands.nudge()
  await until(() => service.uploads.size === 3, 'the upload is ended')
  await state(engine, 'done')
})

test('resume goes on with everything, also with what was paused by its own', async () => {
  const service = newService()
  const { engine, commands } = await openEngine(service)
  await commands.pause()
  await add(commands, night(4))
  assert.equal(engine.snapshot().state, 'paused')
  await commands.pauseFile({ id: 2 })
  await commands.resume()
  await state(engine, 'done')
  assert.deepEqual(await states(commands), Array(4).fill('accepted'))
})

test('a file that is removed or paused while it waits for its next try wakes nobody', async () => {
  const service = newService()
  const { engine, commands } = await openEngine(service)
  const broken = () => (method, path) => method === 'POST' && path === '/api/v1/uploads' && json(500, { message: 'x' })
  service.fail.push(broken(), broken())
  await add(commands, night(2))
  await until(() => service.fail.length === 0 && engine.list.counts.queued === 2, 'both wait')
  await commands.pauseFile({ id: 1 })
  await commands.remove({ id: 2 })
  assert.equal(await engine.sender.step(), false)
})

test('a frame that was refused when jobs were created, and then is taken, gets its job too', async () => {
  const service = newService()
  let refused = 1
  service.verdict = () => refused-- > 0 ? { outcome: 'refused', reason: 'no room for it' } : { outcome: 'accepted', reason: '' }
  const { engine, commands } = await openEngine(service)
  const files = night(2)
  await add(commands, files)
  await state(engine, 'done')
  await commands.finalise()
  assert.equal(engine.snapshot().finalisable, false)
  await add(commands, files)
  await until(() => engine.snapshot().counts.accepted === 2, 'both are taken')
  assert.equal(engine.snapshot().finalisable, true)
})

test('an upload that expired while nobody was here is begun anew', async () => {
  const service = newService()
  const first = await openEngine(service)
  service.fail.push(method => method === 'PATCH' && new TypeError('cut'))
  await add(first.commands, night(1))
  await until(() => first.engine.list.unsafe === 0 && first.engine.list.rows[0].url, 'it is begun and stored')
  await kill(first)
  service.uploads.clear()
  const { engine, commands } = await openEngine(service)
  await state(engine, 'done')
  assert.deepEqual(await states(commands), ['accepted'])
})

test('a crash: stored files go on where they were, the others are asked for once', async () => {
  const service = newService()
  const first = await openEngine(service)
  const files = night(10)
  await first.commands.pause()
  await add(first.commands, files.slice(0, 6))
  await until(() => first.engine.list.unsafe === 0, 'they are stored')
  first.engine.storer.step = async () => false // as if there was no time for the rest
  await add(first.commands, files.slice(6))
  await kill(first)
  const { engine, commands } = await openEngine(service)
  assert.deepEqual(engine.snapshot().question, { kind: 'choose-again', safe: 6, total: 10 })
  await commands.resume()
  await state(engine, 'needs-files')
  assert.equal(engine.snapshot().finalisable, false)
  assert.deepEqual(await states(commands), [...Array(6).fill('accepted'), ...Array(4).fill('lost')])
  // The same folder, by another path; a file that looks the same but is another one is not mistaken for it.
  const again = files.map(({ path, file }) => ({ path: path.replace('M 94_sub/', 'MyWorks/M 94_sub/'), file }))
  await add(commands, again.slice(6))
  await state(engine, 'done')
  assert.equal(engine.list.length, 10)
  assert.equal(engine.snapshot().question, null)
  assert.deepEqual(await states(commands), Array(10).fill('accepted'))
})

test('a crash between the beginning of an upload and its being written down leaves no orphan', async () => {
  const service = newService()
  const first = await openEngine(service)
  first.engine.sender.step = async () => false
  await add(first.commands, night(1))
  await until(() => first.engine.list.unsafe === 0 && first.engine.list.rows[0].sha256, 'it is stored and hashed')
  const { sha256 } = first.engine.list.rows[0]
  const metadata = [['filename', 'x'], ['agent', first.engine.mark], ['sha256', sha256]].map(([key, value]) => `${key} ${btoa(value)}`).join(',')
  await fetch(`${first.engine.api.uploads}`, { method: 'POST', headers: { 'Upload-Length': String(first.engine.list.rows[0].bytes), 'Upload-Metadata': metadata } })
  await kill(first)
  const { engine } = await openEngine(service)
  await state(engine, 'done')
  assert.equal(service.uploads.size, 1)
})

test('a scan that its page did not finish is asked for', async () => {
  const service = newService()
  const first = await openEngine(service)
  await first.commands.scanBegin({ scan: 's', page: 'p', total: 9 })
  await first.commands.addBatch({ files: night(4), skipped: [] })
  await until(() => first.engine.list.unsafe === 0, 'they are stored')
  await kill(first)
  const { engine, commands } = await openEngine(service)
  assert.deepEqual(engine.snapshot().question, { kind: 'choose-again', safe: 4, total: 9 })
  await add(commands, night(9))
  await state(engine, 'done')
  assert.equal(engine.snapshot().files, 9)
})

test('no room in the browser: sent from where it is, and said so', async () => {
  const service = newService()
  const store = await Store.open(service.user)
  store.putBlobs = async () => { throw new DOMException('full', 'QuotaExceededError') }
  const { engine, commands } = await openEngine(service, { store })
  await commands.pause()
  await add(commands, night(3))
  await until(() => engine.storer.isFull, 'it is full')
  assert.match(engine.snapshot().reason, /no room/)
  assert.equal(engine.snapshot().fragile, true)
  await commands.resume()
  await state(engine, 'done')
})

test('where the browser keeps nothing it is sent all the same', async () => {
  const service = newService()
  const { engine, commands } = await openEngine(service, { store: new NoStore() })
  await commands.pause()
  await add(commands, night(3))
  assert.match(engine.snapshot().reason, /not secure/)
  await commands.resume()
  await state(engine, 'done')
  assert.equal(service.frames.size, 3)
})

test('queues of two users know nothing of each other', async () => {
  const service = newService()
  const first = await openEngine(service)
  await first.commands.pause()
  await add(first.commands, night(3))
  const second = await openEngine(service, { user: `${service.user}-other` })
  assert.equal(second.engine.snapshot().files, 0)
  assert.equal(second.engine.snapshot().state, 'empty')
})

test('a file that was moved away is lost with a reason, and the network is not blamed', async () => {
  const service = newService()
  const { engine, commands } = await openEngine(service, { store: new NoStore() })
  const [entry] = night(1)
  let moved = false
  const file = new Proxy(entry.file, {
    get (target, name) {
      if (name === 'slice' && moved) return () => ({ arrayBuffer: async () => { throw new DOMException('gone', 'NotReadableError') } })
      const value = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    }
  })
  await commands.pause()
  await add(commands, [{ path: entry.path, file }])
  moved = true
  await commands.resume()
  await state(engine, 'needs-files')
  assert.match((await all(commands))[0].reason, /moved, changed or unplugged/)
})

test('clear forgets the list, and nothing comes back', async () => {
  const service = newService()
  const first = await openEngine(service)
  await add(first.commands, night(3))
  await state(first.engine, 'done')
  await first.commands.finalise()
  await first.commands.clear()
  assert.equal(first.engine.snapshot().state, 'empty')
  await kill(first)
  const { engine } = await openEngine(service)
  assert.equal(engine.snapshot().files, 0)
  assert.equal(engine.snapshot().receipt, null)
})

test('snapshots come at most 8 times a second', async () => {
  const service = newService()
  const { engine, commands, snapshots } = await openEngine(service)
  const began = Date.now()
  await add(commands, night(50))
  await state(engine, 'done')
  const seconds = (Date.now() - began) / 1000
  assert.ok(snapshots.length <= 8 * seconds + 3, `${snapshots.length} in ${seconds} s`)
})
