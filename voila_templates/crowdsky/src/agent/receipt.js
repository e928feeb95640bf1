// What a visitor gets in exchange for a night.

import { isTaken } from './list.js'
import { sha256 } from './work/hasher.js'

/**
 * The receipt of the rows that are not finalised yet.
 *
 * `digest` is the SHA-256 of the files' own SHA-256 in hexadecimal, sorted, a line each, so that
 * `sha256sum * | cut -c-64 | sort -u | sha256sum` in the same folder gives it again.
 *
 * @param {object[]} rows all rows of the list
 * @param {object} answer the service's to "finalise"
 */
export async function makeReceipt (rows, answer) {
  const fresh = rows.filter(row => isTaken(row) && !row.finalised)
  const refused = rows.filter(row => row.state === 'refused' && !row.finalised)
  const receipt = {
    files: fresh.length + refused.length,
    bytes: fresh.reduce((sum, row) => sum + row.bytes, 0),
    accepted: 0,
    duplicates: 0,
    refused: refused.length,
    digest: '',
    jobs: answer.job_ids ?? [],
    whenMs: Date.now()
  }
  for (const row of fresh) {
    receipt.accepted += row.inside?.accepted ?? (row.state === 'accepted' ? 1 : 0)
    receipt.duplicates += row.inside?.duplicate ?? (row.state === 'duplicate' ? 1 : 0)
    receipt.refused += row.inside?.refused ?? 0
  }
  const hashes = [...new Set(fresh.map(row => row.sha256).filter(Boolean))].sort()
  if (hashes.length && globalThis.crypto?.subtle) {
    receipt.digest = await sha256(new TextEncoder().encode(hashes.map(hash => `${hash}\n`).join('')))
  }
  return receipt
}
