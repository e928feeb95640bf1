// Requests of tus-js-client by fetch, for a SharedWorker has no XMLHttpRequest.

/** An HttpStack of tus-js-client 4; progress is told a part at a time. */
export class FetchStack {
  #timeoutMs

  /** `timeoutMs(bytes)` says when a request of so many bytes is given up. */
  constructor (timeoutMs) {
    this.#timeoutMs = timeoutMs
  }

  createRequest (method, url) {
    return new FetchRequest(method, url, this.#timeoutMs)
  }

  getName () {
    return 'FetchStack'
  }
}

class FetchRequest {
  #method
  #url
  #headers = {}
  #progress = () => {}
  #abort = new AbortController()
  #timeoutMs

  constructor (method, url, timeoutMs) {
    this.#method = method
    this.#url = url
    this.#timeoutMs = timeoutMs
  }

  getMethod () { return this.#method }
  getURL () { return this.#url }
  setHeader (name, value) { this.#headers[name] = value }
  getHeader (name) { return this.#headers[name] }
  setProgressHandler (handler) { this.#progress = handler }

  async send (body = null) {
    const bytes = body?.size ?? 0
    const timer = setTimeout(() => this.#abort.abort(), this.#timeoutMs(bytes))
    try {
      const response = await fetch(this.#url, {
        method: this.#method,
        headers: this.#headers,
        body,
        signal: this.#abort.signal,
        credentials: 'same-origin',
        cache: 'no-store'
      })
      const text = await response.text() // errors are JSON, everything else is empty
      if (response.ok) this.#progress(bytes)
      return new FetchResponse(response, text)
    } finally {
      clearTimeout(timer)
    }
  }

  async abort () {
    this.#abort.abort()
  }

  getUnderlyingObject () { return null }
}

class FetchResponse {
  #response
  #text

  constructor (response, text) {
    this.#response = response
    this.#text = text
  }

  getStatus () { return this.#response.status }
  getHeader (name) { return this.#response.headers.get(name) }
  getBody () { return this.#text }
  getUnderlyingObject () { return this.#response }
}
