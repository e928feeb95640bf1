// Which files of a Seestar's folders are set aside: the rules and words of crowdsky/frames/find.py.

const FITS = ['.fit', '.fits', '.fts']
const COMPRESSED = ['.fz', '.bz2', '.xz', '.z']
const PICTURES = ['.jpg', '.jpeg', '.png', '.tif', '.tiff', '.webp']
const VIDEOS = ['.mp4', '.avi', '.mov', '.ser']
const ARCHIVES = ['.tar.gz', '.tgz', '.tar', '.zip', '.gz']
const NOT_DEEP_SKY = /^(lunar|solar)([ _.-].*)?$/i
const ON_BOARD_STACK = /^(dso_)?stacked_/i

export const STACK_REASON = 'an on-board stack, not a raw sub'

/** Whether a file is sent as it is, for the service to unpack. */
export function isArchive (name) {
  const lower = name.toLowerCase()
  return ARCHIVES.some(suffix => lower.endsWith(suffix))
}

/**
 * Why a file is set aside; empty if it may be a frame or an archive.
 *
 * The folder that was chosen or dropped may bear any name; only what lies below it is judged.
 */
export function reasonToSkip (path) {
  const all = path.split('/').filter(Boolean)
  const parts = all.length > 1 ? all.slice(1) : all
  const name = parts.at(-1) ?? ''
  const lower = name.toLowerCase()
  const dot = lower.lastIndexOf('.')
  const suffix = dot > 0 ? lower.slice(dot) : ''
  const stem = dot > 0 ? lower.slice(0, dot) : lower
  if (parts.some(part => part.startsWith('.'))) return 'hidden file'
  if (PICTURES.includes(suffix) || stem.endsWith('_thn')) return 'picture or thumbnail'
  if (VIDEOS.includes(suffix) || [...parts.slice(0, -1), stem].some(part => part.toLowerCase().endsWith('_video'))) {
    return 'video'
  }
  if (parts.some(part => NOT_DEEP_SKY.test(part))) return 'Moon or Sun'
  if (isArchive(name)) return ''
  if (COMPRESSED.includes(suffix)) return 'compressed file, unpack it first'
  if (!FITS.includes(suffix)) return 'not a FITS image'
  if (ON_BOARD_STACK.test(name)) return STACK_REASON
  return ''
}
