// The service's JSON, and who is signed in.

const TIMEOUT_MS = 60_000
const SURE_FOR_MS = 10_000

/** What went wrong with a request: `kind` is `offline`, `signed-out`, `other-user` or `refused`. */
export class ApiError extends Error {
  constructor (kind, message, { status = 0, retryAfterS = null } = {}) {
    super(message)
    Object.assign(this, { kind, status, retryAfterS })
  }
}

/** Seconds that an answer asks to wait, or null. */
export function retryAfterS (text) {
  if (text === null || text === '') return null
  const seconds = Number(text)
  if (Number.isFinite(seconds)) return Math.max(0, seconds)
  const until = Date.parse(text)
  return Number.isNaN(until) ? null : Math.max(0, (until - Date.now()) / 1000)
}

/** The sentence of an error's JSON, or a plain one. */
export function sentence (status, text) {
  try {
    const { message } = JSON.parse(text)
    if (typeof message === 'string' && message) return message
  } catch {}
  return `the service answered ${status}`
}

export class Api {
  #root
  #user
  #csrf = ''
  #sureUntil = 0
  #asking = null
  #doubts = 0
  limits = null // {fileBytes, archiveBytes}, once known

  /** `root` is the absolute address of the API, `user` whose queue this is. */
  constructor (root, user) {
    this.#root = root.replace(/\/+$/, '')
    this.#user = user
  }

  get uploads () {
    return `${this.#root}/uploads`
  }

  /** Ask for JSON. Throws `ApiError`. */
  async ask (path, { method = 'GET', json } = {}) {
    const headers = { Accept: 'application/json' }
    if (json !== undefined) headers['Content-Type'] = 'application/json'
    // Without HTTPS browsers do not say by themselves which page a request comes from.
    if (method !== 'GET' && this.#csrf) headers['X-CSRF-Token'] = this.#csrf
    let response, text
    try {
      response = await fetch(this.#root + path, {
        method,
        headers,
        body: json === undefined ? undefined : JSON.stringify(json),
        credentials: 'same-origin',
        cache: 'no-store',
        signal: AbortSignal.timeout(TIMEOUT_MS)
      })
      text = await response.text()
    } catch (error) {
      throw new ApiError('offline', 'the service cannot be reached')
    }
    if (response.status === 401) throw new ApiError('signed-out', 'you are signed out', { status: 401 })
    if (!response.ok) {
      throw new ApiError('refused', sentence(response.status, text), {
        status: response.status,
        retryAfterS: retryAfterS(response.headers.get('Retry-After'))
      })
    }
    try {
      return JSON.parse(text)
    } catch {
      throw new ApiError('offline', 'something other than the service answered') // a hotel's login page
    }
  }

  /**
   * Make sure that what is sent now is sent as the queue's own user.
   *
   * Somebody else may have signed in with this browser meanwhile. Throws `ApiError`.
   */
  async sure () {
    if (Date.now() < this.#sureUntil) return
    if (!this.#asking) {
      const asking = this.#me().finally(() => { if (this.#asking === asking) this.#asking = null })
      this.#asking = asking
    }
    await this.#asking
  }

  /** What was known of the visitor may be wrong by now, and what is being asked just now, too. */
  doubt () {
    this.#sureUntil = 0
    this.#asking = null
    this.#doubts += 1
  }

  /** Try to sign in without asking anybody; true if the queue's user is signed in. */
  async signIn () {
    this.doubt()
    try {
      await this.sure()
      return true
    } catch (error) {
      if (error.kind !== 'signed-out') return false
    }
    const next = `${new URL(this.#root).pathname}/me`
    try {
      // The Hub's own cookie may still be good: then this goes there and back without a word.
      await fetch(`${this.#root.replace(/\/api\/v1$/, '')}/login?next=${encodeURIComponent(next)}`, {
        credentials: 'same-origin',
        cache: 'no-store',
        signal: AbortSignal.timeout(TIMEOUT_MS)
      })
      await this.sure()
      return true
    } catch {
      return false
    }
  }

  async #me () {
    const doubts = this.#doubts
    const me = await this.ask('/me')
    if (me.name !== this.#user) {
      throw new ApiError('other-user', 'another account is signed in with this browser')
    }
    this.#csrf = me.csrf ?? ''
    if (doubts === this.#doubts) this.#sureUntil = Date.now() + SURE_FOR_MS
    if (me.limits) {
      this.limits = { fileBytes: me.limits.file_mb * 1e6, archiveBytes: me.limits.archive_mb * 1e6 }
    }
  }
}
