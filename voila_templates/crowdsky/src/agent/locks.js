// Web Locks: exactly one sends, and whoever is gone is noticed.

const locks = globalThis.navigator?.locks

export const hasLocks = Boolean(locks)

/** Hold a lock for as long as this page or worker lives; resolves once it is held. */
export function holdForEver (name) {
  if (!locks) return Promise.resolve()
  return new Promise(resolve => {
    locks.request(name, () => {
      resolve()
      return new Promise(() => {})
    })
  })
}

/** Resolves when whoever holds a lock for ever is gone; never, where that cannot be known. */
export function whenGone (name) {
  if (!locks) return new Promise(() => {})
  return locks.request(name, { mode: 'shared' }, () => {})
}

/** Do something for as long as a lock is ours; `work` gets it once nobody else has it. */
export function withLock (name, work, signal) {
  return locks.request(name, { signal }, work)
}

export function randomName (prefix) {
  const bytes = crypto.getRandomValues(new Uint8Array(12))
  return prefix + Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('')
}
