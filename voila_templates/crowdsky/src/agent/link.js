// Questions and answers over anything that posts messages: a MessagePort, a BroadcastChannel.

/** An error that can be posted, and its way back. */
export function packed (error) {
  return { message: String(error?.message ?? error), kind: error?.kind ?? 'fault', status: error?.status ?? 0 }
}

export function unpacked ({ message, ...rest }) {
  return Object.assign(new Error(message), rest)
}

/** Asks over a link, and keeps what is asked until it is answered. */
export class Asker {
  #post
  #open = new Map()
  #last = 0

  /** `post` sends `{ask, method, args}`. */
  constructor (post) {
    this.#post = post
  }

  call (method, args) {
    const ask = ++this.#last
    return new Promise((resolve, reject) => {
      this.#open.set(ask, { resolve, reject, method, args })
      this.#post({ ask, method, args })
    })
  }

  /** An answer came. */
  take ({ answer, result, error }) {
    const found = this.#open.get(answer)
    if (!found) return
    this.#open.delete(answer)
    if (error) found.reject(unpacked(error))
    else found.resolve(result)
  }

  /** Whoever was asked is gone: ask somebody else what is still open. */
  repeat (post = this.#post) {
    this.#post = post
    for (const [ask, { method, args }] of this.#open) post({ ask, method, args })
  }

  /** Have everything open answered by a function. */
  async answerBy (call) {
    const open = [...this.#open]
    this.#open.clear()
    for (const [, { method, args, resolve, reject }] of open) await call(method, args).then(resolve, reject)
  }
}

/** Answer a question by a function, and post the answer. */
export async function answer ({ ask, method, args }, call, post) {
  try {
    post({ answer: ask, result: await call(method, args) })
  } catch (error) {
    post({ answer: ask, error: packed(error) })
  }
}
