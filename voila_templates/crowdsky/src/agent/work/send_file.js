// One file by tus, from where the service stands to its end.

import * as tus from 'tus-js-client'

import { FetchStack } from '../fetch_stack.js'

export const PART_BYTES = 5 * 2 ** 20
const MOST_NAME = 500

/** Sending was ended by us: it is no failure. */
export class Stopped extends Error {}

/** What the service or the network did: `status` is 0 where no answer came. */
export class SendError extends Error {
  constructor (message, { method = '', status = 0, body = '', retryAfter = null } = {}) {
    super(message)
    Object.assign(this, { method, status, body, retryAfter })
  }
}

/**
 * Send a file.
 *
 * @param {Blob} file
 * @param {object} what
 * @param {string} what.endpoint where uploads begin
 * @param {string} what.url of the upload that is continued; empty to begin one
 * @param {string} what.name
 * @param {string} what.sha256 empty if it is not known
 * @param {string} what.mark tells uploads of this browser from others
 * @param {AbortSignal} what.signal
 * @param {(bytes: number) => number} what.timeoutMs
 * @param {(url: string) => Promise<void>} what.onUrl called, and waited for, before any byte is sent
 * @param {(offset: number) => void} what.onOffset where the service stands
 * @param {(bytes: number) => void} what.onAcknowledged so many more bytes are safe
 * @param {(from: number, to: number) => void} what.onPart these bytes are about to be sent
 * @returns {Promise<{outcome: string, reason: string}>} as the service told it; empty if it did not.
 */
export function sendFile (file, what) {
  return new Promise((resolve, reject) => {
    const metadata = { filename: what.name.slice(-MOST_NAME), agent: what.mark }
    if (what.sha256) metadata.sha256 = what.sha256
    const upload = new tus.Upload(file, {
      // Without an endpoint an upload that is gone is an error, and not silently begun anew.
      endpoint: what.url ? null : what.endpoint,
      uploadUrl: what.url || null,
      chunkSize: PART_BYTES,
      retryDelays: null, // when to try again is decided for all files at once
      metadata,
      httpStack: new FetchStack(what.timeoutMs),
      fileReader: { openFile: async blob => asSource(blob) },
      fingerprint: async () => 'kept by us',
      storeFingerprintForResuming: true,
      removeFingerprintOnSuccess: false,
      urlStorage: {
        addUpload: async (_, { uploadUrl }) => {
          try {
            await what.onUrl(uploadUrl)
          } catch (error) {
            console.warn(error) // then a crash now would send this file again
          }
        },
        removeUpload: async () => {}
      },
      onBeforeRequest (request) {
        if (request.getMethod() !== 'PATCH') return
        const from = Number(request.getHeader('Upload-Offset'))
        what.onOffset(from)
        what.onPart(from, Math.min(from + PART_BYTES, file.size))
      },
      onChunkComplete (bytes, offset) {
        what.onAcknowledged(bytes)
        what.onOffset(offset)
      },
      onSuccess ({ lastResponse }) {
        resolve({
          outcome: lastResponse.getHeader('Upload-Outcome') ?? '',
          reason: decoded(lastResponse.getHeader('Upload-Reason') ?? '')
        })
      },
      onError: error => reject(asSendError(error))
    })
    const stop = () => {
      upload.abort()
      reject(new Stopped())
    }
    if (what.signal.aborted) return stop()
    what.signal.addEventListener('abort', stop, { once: true })
    upload.start()
  })
}

function asSource (blob) {
  return {
    size: blob.size,
    slice: async (from, to) => ({ value: blob.slice(from, to), done: to >= blob.size }),
    close () {}
  }
}

function asSendError (error) {
  const response = error.originalResponse
  return new SendError(error.message, {
    method: error.originalRequest?.getMethod() ?? '',
    status: response?.getStatus() ?? 0,
    body: response?.getBody() ?? '',
    retryAfter: response?.getHeader('Retry-After') ?? null
  })
}

function decoded (text) {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
