// The drivers' side of the line protocol in ../README.md.
import { createInterface } from 'node:readline'

console.log = console.error // a library that prints must not break the protocol

function say (message) {
  process.stdout.write(JSON.stringify(message) + '\n')
}

export function event (e, m, more = {}) {
  say({ e, m, ...more, at: Math.round((performance.timeOrigin + performance.now()) * 1000) })
}

/** Calls make(key) once per key and keeps what it resolves to. */
export function kept (make) {
  const made = new Map()
  return (key, ...args) => {
    if (!made.has(key)) made.set(key, make(...args))
    return made.get(key)
  }
}

/** `library` has a method for each op; members are what its join() resolves to, with the ops that take `m`. */
export function serve (version, library) {
  const members = new Map()
  say({ e: 'ready', version })

  async function one (r) {
    if (r.op === 'join') {
      members.set(r.m, await library.join(r))
      return null
    }
    const target = r.m ? members.get(r.m) : library
    if (!target?.[r.op]) throw new Error(`${r.op} is not there`)
    return await target[r.op](r) ?? null
  }

  const lines = createInterface({ input: process.stdin })
  lines.on('line', async text => {
    const r = JSON.parse(text)
    try {
      say({ id: r.id, ok: await one(r) })
    } catch (e) {
      console.error(e)
      say({ id: r.id, error: `${e.name}: ${e.message}` })
    }
  })
  lines.on('close', () => process.exit(0))
  process.on('unhandledRejection', e => console.error('unhandled', e))
}
