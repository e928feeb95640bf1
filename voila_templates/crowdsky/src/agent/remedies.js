// What to do about a file that is not taken, in a sentence.

const REMEDIES = [
  [/it is empty|truncated|stops before the END|ends early/, 'Copy the file from the telescope again and add it; the copy was cut off.'],
  [/unpack it first|compressed FITS/, 'Unpack the file and add what was in it.'],
  [/calibration frame/, 'Leave it out: the stacks are made without dark and flat frames.'],
  [/on-board stack/, 'Leave it out: only single frames (subs) are stacked.'],
  [/at most \d+ (MB|bytes)/, 'Send it in smaller pieces, or leave it out.'],
  [/DATE-OBS/, 'Leave it out: without its time a frame belongs to no stack. Check the clock of the telescope.'],
  [/SHA-256/, 'Try again: the file changed on its way or while it was read.'],
  [/not a FITS file|FITS header|BITPIX|NAXIS|image has|image axis|SIMPLE/, 'Leave it out: only .fit files as the telescope writes them are stacked.'],
  [/EXPTIME|exposure/, 'Leave it out: a frame without its exposure time is not stacked.'],
  [/archive/, 'Unpack the archive and add its files.']
]

/** The next step for a reason; the rest of the upload never waits for it. */
export function remedyFor (reason) {
  const found = REMEDIES.find(([pattern]) => pattern.test(reason))
  return found ? found[1] : 'Leave it out, or add it again later.'
}

export const LOST = {
  reason: 'the browser could not hold on to this file',
  remedy: 'Choose the same folder again: what is missing is found by name, size and date.'
}

export const CHANGED = {
  reason: 'the file cannot be read any more: it was moved, changed or unplugged',
  remedy: 'Add it again from where it is now.'
}
