// The files of what was dropped or chosen, each with its path: listed first, opened later.

import { reasonToSkip } from './skip.js'

/**
 * Take hold of everything that was dropped. Must be called before the event handler returns: the
 * list is emptied then.
 *
 * @param {DataTransferItemList} items
 * @returns {Promise<Found[]>} `open` gives the file; `skip` says why it is set aside by its name.
 */
export function filesOfDrop (items) {
  const roots = []
  for (const item of items) {
    if (item.kind === 'file') roots.push(item.webkitGetAsEntry?.() ?? item.getAsFile())
  }
  return walkAll(roots.filter(Boolean))
}

/** The same for files of a file dialog, or for any files: in the order of their paths. */
export function filesOfList (files) {
  const all = Array.from(files, file => found(file.webkitRelativePath || file.name, async () => file))
  return all.sort((a, b) => (a.path < b.path ? -1 : 1))
}

async function walkAll (roots) {
  const all = []
  for (const root of roots) {
    if (root.isDirectory === undefined) all.push(found(root.name, async () => root)) // no entry
    else await walk(root, all)
  }
  return all
}

async function walk (entry, all) {
  const path = entry.fullPath.replace(/^\/+/, '')
  if (entry.isFile) {
    all.push(found(path, () => new Promise((resolve, reject) => entry.file(resolve, reject))))
    return
  }
  let children
  try {
    children = await childrenOf(entry)
  } catch {
    all.push({ path, skip: 'a folder that cannot be listed' })
    return
  }
  children.sort((a, b) => (a.name < b.name ? -1 : 1))
  for (const child of children) await walk(child, all)
}

/** All of a folder: browsers hand it out in parts, the last of which is empty. */
async function childrenOf (folder) {
  const reader = folder.createReader()
  const all = []
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject))
    if (some.length === 0) return all
    all.push(...some)
  }
}

function found (path, open) {
  const skip = reasonToSkip(path)
  return skip ? { path, skip } : { path, open }
}
