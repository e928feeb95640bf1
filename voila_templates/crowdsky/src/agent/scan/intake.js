// From files to rows: judged by name and header, a few at a time.

import { remedyFor } from '../remedies.js'
import { inspectFrame } from './check.js'
import { BadFile, BLOCK, fingerprint } from './header.js'
import { isArchive, reasonToSkip, STACK_REASON } from './skip.js'

const AT_ONCE = 8

/**
 * Judge files.
 *
 * @param {{path: string, file: File}[]} entries
 * @param {{fileBytes: number, archiveBytes: number} | null} limits of the service, where known
 * @returns {Promise<{skip?: string, path: string, row?: object, file?: File}[]>} in their order;
 *   `skip` says why a file is set aside, and a row that is refused already says so itself.
 */
export async function judge (entries, limits) {
  const results = new Array(entries.length)
  let next = 0
  const work = async () => {
    while (next < entries.length) {
      const at = next++
      results[at] = await judgeOne(entries[at], limits)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return results
}

async function judgeOne ({ path, file }, limits) {
  const skip = reasonToSkip(path)
  if (skip) return { path, skip }
  const row = blank(path, file)
  try {
    refuseLarge(row, limits)
    if (row.archive) {
      if (file.size === 0) throw new BadFile('not an archive: it is empty')
      row.mark = fingerprint(new Uint8Array(await file.slice(0, BLOCK).arrayBuffer()))
    } else {
      const { stack, ...facts } = await inspectFrame(file)
      if (stack) return { path, skip: STACK_REASON }
      Object.assign(row, facts)
    }
  } catch (error) {
    const reason = error instanceof BadFile ? error.message : 'the file cannot be read'
    Object.assign(row, { state: 'refused', reason, remedy: remedyFor(reason) })
    return { path, row }
  }
  return { path, row, file }
}

function refuseLarge (row, limits) {
  if (!limits) return
  const most = row.archive ? limits.archiveBytes : limits.fileBytes
  if (row.bytes > most) {
    throw new BadFile(`${row.archive ? 'an archive' : 'a frame'} has at most ${Math.floor(most / 1e6)} MB`)
  }
}

function blank (path, file) {
  const name = path.split('/').at(-1)
  return {
    name,
    path,
    bytes: file.size,
    lastModified: file.lastModified,
    archive: isArchive(name),
    mark: '',
    state: 'queued',
    sent: 0, // bytes that the service has
    high: 0, // end of the last part that was ever begun
    url: '',
    sha256: '',
    reason: '',
    remedy: '',
    paused: false,
    stored: false,
    finalised: false
  }
}
