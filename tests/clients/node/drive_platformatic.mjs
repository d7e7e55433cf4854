// A driver of the client matrix around @platformatic/kafka: ../README.md.
import { readFileSync } from 'node:fs'
import { Admin, Consumer, Producer } from '@platformatic/kafka'
import { event, kept, serve } from './line.mjs'

const common = { clientId: 'driver', bootstrapBrokers: [process.argv[2]], retries: 200, retryDelay: 100, connectTimeout: 2000 }
const admin = new Admin(common)
const producer = kept(idempotent => new Producer({ ...common, idempotent, serializers: { value: v => Buffer.from(v) } }))

class Member {
  constructor (r) {
    this.r = r
    this.owned = []
    this.waiting = new Map()
    this.told = Promise.resolve()
  }

  create () {
    const { r } = this
    this.consumer = new Consumer({
      ...common,
      groupId: r.group,
      ...(r.instance ? { groupInstanceId: r.instance } : {}),
      sessionTimeout: r.session,
      rebalanceTimeout: Math.max(10000, r.session),
      heartbeatInterval: 300,
      autocommit: r.commit === 'auto' ? 100 : false,
      maxWaitTime: 50,
      deserializers: { value: v => v?.toString() }
    })
  }

  async open () {
    this.create()
    const { consumer, r } = this
    consumer.on('consumer:group:join', ({ assignments, generationId }) => {
      this.giveUp()
      this.owned = assignments.filter(a => a.topic === r.topic).flatMap(a => a.partitions)
      event('assigned', r.m, { p: this.owned, g: generationId })
    })
    consumer.on('consumer:group:rebalance', () => this.giveUp())
    this.stream = await consumer.consume({ topics: [r.topic], mode: 'committed', fallbackMode: 'earliest' })
    this.stream.on('error', e => this.again(e))
    this.stream.on('data', message => this.add(message))
    return this
  }

  // A stream ends at the first error that the broker answers, say right after its start: an application opens a new one.
  async again (error) {
    console.error(error)
    this.giveUp()
    try {
      await this.consumer.close(true)
    } catch (e) {
      console.error(e)
    }
    while (!this.leaving) {
      try {
        return await this.open()
      } catch (e) {
        console.error(e)
        await this.consumer.close(true).catch(() => {})
      }
    }
  }

  giveUp () {
    this.tell()
    if (this.owned.length) event('revoked', this.r.m, { p: this.owned })
    this.owned = []
  }

  add ({ partition, offset, value }) {
    if (!this.owned.includes(partition)) return // of a fetch from before the rebalance, which the library does not drop
    if (!this.waiting.size) setImmediate(() => this.tell())
    if (!this.waiting.has(partition)) this.waiting.set(partition, { p: partition, o: [], v: [] })
    const batch = this.waiting.get(partition)
    batch.o.push(Number(offset))
    batch.v.push(value)
  }

  tell () {
    const batches = [...this.waiting.values()]
    this.waiting.clear()
    for (const batch of batches) {
      event('records', this.r.m, batch)
      if (this.r.commit === 'each') {
        const offsets = { [batch.p]: batch.o.at(-1) + 1 }
        this.told = this.told.then(() => this.commit({ offsets })).catch(() => {}) // refused: these come again
      }
    }
  }

  async commit ({ offsets }) {
    await this.consumer.commit({
      offsets: Object.entries(offsets).map(([partition, offset]) => (
        { topic: this.r.topic, partition: Number(partition), offset: BigInt(offset), leaderEpoch: -1 }))
    })
    event('committed', this.r.m, { o: offsets })
  }

  async leave () {
    this.leaving = true
    await this.stream.close()
    this.tell()
    await this.told
    await this.consumer.close(true)
    event('left', this.r.m)
  }
}

const version = JSON.parse(readFileSync(new URL('./node_modules/@platformatic/kafka/package.json', import.meta.url))).version
serve(version, {
  create: async ({ topic, partitions }) => { await admin.createTopics({ topics: [topic], partitions, replicas: 1 }) },
  delete: async ({ topic }) => admin.deleteTopics({ topics: [topic] }),
  list: async () => admin.listTopics(),
  produce: async ({ topic, partition, values, codec, acks, idempotent }) => {
    const p = producer(idempotent, idempotent)
    const messages = values.map(value => ({ topic, partition, value }))
    const answer = await p.send({ messages, acks, compression: codec, idempotent })
    return acks === 0 ? -1 : Number(answer.offsets[0].offset)
  },
  join: r => new Member(r).open()
})
