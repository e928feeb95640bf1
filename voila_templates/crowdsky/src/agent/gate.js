// Whether requests make sense just now. While the service is away, full or does not know us, nothing
// is asked of it but whether it is back.

const FIRST_S = 1
const MOST_S = 15
const SIGN_IN_S = 5
const SIGN_IN_MOST_S = 30

export const SAY = {
  busy: 'The server is busy or restarting. Everything sent so far is safe; it goes on by itself.',
  offline: 'No connection to the server. Everything sent so far is safe; it goes on by itself.',
  'signed-out': 'You are signed out. Log in again, and the upload goes on by itself.',
  'other-user': 'Another account is signed in with this browser. This list goes on when its own account is back.'
}

export class Gate {
  state = 'open' // or 'waiting', 'signed-out'
  reason = ''
  #signIn
  #changed
  #timer = null
  #failures = 0
  #trying = false
  #tryAgain = false
  #signInS = SIGN_IN_S

  /** `signIn` tries to sign in and says whether that went well; `changed` is called at each change. */
  constructor (signIn, changed) {
    this.#signIn = signIn
    this.#changed = changed
  }

  get isOpen () {
    return this.state === 'open'
  }

  /** Something came through. */
  ok () {
    this.#failures = 0
  }

  /** Close for a while that grows with each failure, or for as long as the service asks for. */
  wait (reason = SAY.offline, seconds = null) {
    if (this.state === 'signed-out') return
    if (this.isOpen) this.#failures += 1 // several requests at once fail for one reason
    const grown = Math.min(MOST_S, FIRST_S * 2 ** (this.#failures - 1)) * (0.75 + Math.random() / 2)
    this.#close('waiting', reason, seconds ?? grown, () => this.#open())
  }

  /** Close until the queue's own user is signed in. */
  signedOut (kind = 'signed-out') {
    if (this.state === 'signed-out') return
    this.#signInS = SIGN_IN_S
    this.#close('signed-out', SAY[kind], 0, () => this.#tryToSignIn())
  }

  /** Something may have changed: the network is back, a page was opened. */
  nudge () {
    if (this.isOpen) return
    clearTimeout(this.#timer)
    if (this.state === 'waiting') this.#open()
    else this.#tryToSignIn()
  }

  stop () {
    clearTimeout(this.#timer)
    this.#changed = () => {}
    this.#signIn = async () => false
  }

  async #tryToSignIn () {
    if (this.#trying) {
      this.#tryAgain = true // what is being tried began before something changed
      return
    }
    this.#trying = true
    this.#tryAgain = false
    const done = await this.#signIn()
    this.#trying = false
    if (this.state !== 'signed-out') return
    if (done) return this.#open()
    if (this.#tryAgain) return this.#tryToSignIn()
    this.#later(this.#signInS, () => this.#tryToSignIn())
    this.#signInS = Math.min(SIGN_IN_MOST_S, this.#signInS * 1.5)
  }

  #close (state, reason, seconds, then) {
    this.state = state
    this.reason = reason
    this.#later(seconds, then)
    this.#changed()
  }

  #open () {
    clearTimeout(this.#timer)
    this.state = 'open'
    this.reason = ''
    this.#changed()
  }

  #later (seconds, then) {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(then, seconds * 1000)
  }
}
