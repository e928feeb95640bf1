// The official tus client for Node: node upload.mjs ENDPOINT KEY FILE NAME CHUNK PARALLEL
// Says "begun" once some bytes are sent, and the address of the upload when all are.
import fs from 'node:fs'
import process from 'node:process'
import * as tus from 'tus-js-client'

const [endpoint, key, file, name, chunk, parallel] = process.argv.slice(2)
let begun = false
const upload = new tus.Upload(fs.createReadStream(file), {
  endpoint,
  headers: { Authorization: `Bearer ${key}` },
  metadata: { filename: name },
  chunkSize: Number(chunk),
  parallelUploads: Number(parallel),
  retryDelays: Array(60).fill(250),
  onProgress(sent) {
    if (!begun && sent > 0) {
      begun = true
      console.log('begun')
    }
  },
  onError(error) {
    console.error(String(error))
    process.exit(1)
  },
  onSuccess() {
    console.log(upload.url)
  },
})
upload.start()
