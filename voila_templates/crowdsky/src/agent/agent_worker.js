// The SharedWorker of one user: it goes on while pages come and go.

import { Host } from './host.js'
import { answer } from './link.js'
import { holdForEver, randomName, whenGone } from './locks.js'

const ports = new Set()
const life = randomName('crowdsky-life-')
const alive = holdForEver(life)
let host = null

self.addEventListener('connect', ({ ports: [port] }) => {
  port.addEventListener('message', ({ data }) => hear(port, data))
  port.start()
})
self.addEventListener('online', () => host?.call('nudge'))

async function hear (port, message) {
  if (message.hello) {
    const { user, api, outlivesPages, page } = message.hello
    if (!host) {
      host = new Host({ user, api, where: 'shared-worker', outlivesPages }, tell)
      host.start()
    } else {
      host.hello()
      host.call('nudge')
    }
    ports.add(port)
    whenGone(page).then(() => ports.delete(port))
    await alive
    port.postMessage({ welcome: life })
    port.postMessage({ snapshot: host.snapshot })
  } else if (message.ask) {
    await answer(message, (method, args) => host.call(method, args), reply => port.postMessage(reply))
  } else if (message.bye) {
    ports.delete(port)
  }
}

function tell (snapshot) {
  for (const port of ports) port.postMessage({ snapshot })
}
