// The service's side of the protocol, in the process of the test, behind `fetch`.

import { createHash } from 'node:crypto'

export const API = 'http://site.test/services/crowdsky/api/v1'

export class FakeService {
  user = 'ann'
  signedIn = true
  hubKnows = false // whether a visit to the login signs in
  frames = new Set() // contents
  uploads = new Map() // id -> {length, bytes: Uint8Array[], offset, metadata, state, reason}
  requests = []
  fail = [] // functions (method, path) => Response | Error | undefined, each asked once it fits
  verdict = () => ({ outcome: 'accepted', reason: '' })
  #last = 0

  fetch = async (address, init = {}) => {
    const method = init.method ?? 'GET'
    const path = new URL(address).pathname.replace('/services/crowdsky', '')
    const headers = new Headers(init.headers)
    this.requests.push(`${method} ${path}`)
    await new Promise(resolve => setTimeout(resolve, 1))
    if (init.signal?.aborted) throw init.signal.reason
    for (const [at, one] of this.fail.entries()) {
      const told = one(method, path)
      if (!told) continue
      this.fail.splice(at, 1)
      if (told instanceof Error) throw told
      return told
    }
    if (path === '/login') {
      if (this.hubKnows) this.signedIn = true
      return json(200, {})
    }
    if (!this.signedIn) return json(401, { message: 'sign in' })
    return await this.#answer(method, path.replace('/api/v1', ''), headers, init.body)
  }

  count (method, pattern) {
    return this.requests.filter(line => line.startsWith(method) && pattern.test(line)).length
  }

  async #answer (method, path, headers, body) {
    if (path === '/me') return json(200, { name: this.user, limits: { file_mb: 64, archive_mb: 8192 } })
    if (path === '/finalise') return json(200, { batch_id: 1, job_ids: [7, 8], n_frames: this.frames.size, n_rejected: 0 })
    if (path === '/uploads/have') {
      return json(200, { have: JSON.parse(body).sha256.filter(one => this.frames.has(one)) })
    }
    if (path === '/uploads' && method === 'POST') return this.#create(headers)
    if (path === '/uploads') return json(200, { uploads: this.#lines(), next_after: null })
    const upload = this.uploads.get(path.split('/').at(-1))
    if (!upload) return json(404, { message: 'no such upload' })
    if (method === 'HEAD') {
      return answer(200, {
        'Upload-Offset': upload.offset, 'Upload-Length': upload.length, 'Upload-Metadata': upload.text,
        ...(upload.state === 'open' ? {} : { 'Upload-Outcome': upload.state, 'Upload-Reason': encodeURIComponent(upload.reason) })
      })
    }
    if (method === 'DELETE') {
      this.uploads.delete(path.split('/').at(-1))
      return answer(204, {})
    }
    if (method === 'GET') return json(200, { ...this.#line(upload), items: upload.items ?? [] })
    return await this.#patch(upload, headers, body)
  }

  #create (headers) {
    const id = String(++this.#last).padStart(32, '0')
    const text = headers.get('Upload-Metadata')
    const pairs = text.split(',').map(pair => pair.split(' '))
    const metadata = Object.fromEntries(pairs.map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]))
    const length = Number(headers.get('Upload-Length'))
    if (length > 64e6) return json(413, { message: 'a frame has at most 64 MB' })
    this.uploads.set(id, { id, length, offset: 0, parts: [], metadata, text, state: 'open', reason: '' })
    return answer(201, { Location: `/services/crowdsky/api/v1/uploads/${id}` })
  }

  async #patch (upload, headers, body) {
    const from = Number(headers.get('Upload-Offset'))
    if (from !== upload.offset) return json(409, { message: `the upload stands at ${upload.offset}` })
    const bytes = new Uint8Array(await body.arrayBuffer())
    upload.parts.push(bytes)
    upload.offset += bytes.length
    const told = { 'Upload-Offset': upload.offset }
    if (upload.offset === upload.length) {
      const sha256 = createHash('sha256').update(Buffer.concat(upload.parts)).digest('hex')
      const { outcome, reason } = this.verdict(upload, sha256)
      Object.assign(upload, { sha256, state: outcome === 'duplicate' ? 'accepted' : outcome, reason })
      if (outcome === 'accepted') this.frames.add(sha256)
      Object.assign(told, { 'Upload-Outcome': outcome, 'Upload-Reason': encodeURIComponent(reason) })
    }
    return answer(204, told)
  }

  #lines () {
    return [...this.uploads.values()].map(upload => this.#line(upload))
  }

  #line ({ id, state, reason, length, offset, metadata, sha256 }) {
    return { id, state, reason, length, offset, name: metadata.filename, sha256: sha256 ?? metadata.sha256 ?? null }
  }
}

export function json (status, value, headers = {}) {
  return new Response(JSON.stringify(value), { status, headers: { 'Content-Type': 'application/json', ...headers } })
}

function answer (status, headers) {
  return new Response(null, { status, headers })
}
