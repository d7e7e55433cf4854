// A driver of the client matrix around kafkajs: ../README.md.
import { createRequire } from 'node:module'
import kafkajs from 'kafkajs'
import snappy from 'kafkajs-snappy'
import { event, kept, serve } from './line.mjs'

const { Kafka, CompressionTypes, CompressionCodecs, Partitioners, PartitionAssigners, logLevel } = kafkajs
CompressionCodecs[CompressionTypes.Snappy] = snappy
const codecs = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy }

const kafka = new Kafka({
  brokers: [process.argv[2]],
  logLevel: logLevel.ERROR,
  retry: { initialRetryTime: 50, maxRetryTime: 300, retries: 200 }
})
const admin = kept(async () => {
  const a = kafka.admin()
  await a.connect()
  return a
})
const producer = kept(async idempotent => {
  const p = kafka.producer({
    idempotent,
    maxInFlightRequests: 1,
    createPartitioner: Partitioners.DefaultPartitioner,
    allowAutoTopicCreation: false
  })
  await p.connect()
  return p
})

class Member {
  constructor (r) {
    this.r = r
    this.owned = []
    this.consumer = kafka.consumer({
      groupId: r.group,
      sessionTimeout: r.session,
      heartbeatInterval: 300,
      maxWaitTimeInMs: 50,
      allowAutoTopicCreation: false,
      partitionAssigners: [PartitionAssigners.roundRobin]
    })
  }

  async open () {
    const { consumer, r } = this
    const { GROUP_JOIN, REBALANCING, CRASH } = consumer.events
    consumer.on(GROUP_JOIN, ({ payload }) => {
      this.giveUp()
      this.owned = payload.memberAssignment[r.topic] ?? []
      event('assigned', r.m, { p: this.owned })
    })
    consumer.on(REBALANCING, () => this.giveUp())
    consumer.on(CRASH, ({ payload }) => {
      this.giveUp()
      if (!payload.restart) event('error', r.m, { text: String(payload.error) })
    })
    await consumer.connect()
    await consumer.subscribe({ topics: [r.topic], fromBeginning: true })
    await consumer.run({
      autoCommit: r.commit === 'auto',
      autoCommitInterval: 100,
      eachBatch: ({ batch, isStale, resolveOffset }) => this.told(batch, isStale, resolveOffset)
    })
    return this
  }

  giveUp () {
    if (this.owned.length) event('revoked', this.r.m, { p: this.owned })
    this.owned = []
  }

  async told (batch, isStale, resolveOffset) {
    if (isStale() || !batch.messages.length) return
    const offsets = batch.messages.map(m => Number(m.offset))
    const last = offsets.at(-1)
    event('records', this.r.m, { p: batch.partition, o: offsets, v: batch.messages.map(m => m.value.toString()) })
    resolveOffset(String(last))
    if (this.r.commit === 'each') {
      await this.commit({ offsets: { [batch.partition]: last + 1 } }) // refused: the error ends the batch, and it comes again
    }
  }

  async commit ({ offsets }) {
    await this.consumer.commitOffsets(Object.entries(offsets).map(
      ([partition, offset]) => ({ topic: this.r.topic, partition: Number(partition), offset: String(offset) })))
    event('committed', this.r.m, { o: offsets })
  }

  seek ({ partition, offset }) {
    this.consumer.seek({ topic: this.r.topic, partition, offset: String(offset) })
    event('seeked', this.r.m, { p: partition, o: offset })
  }

  pause ({ partition }) {
    this.consumer.pause([{ topic: this.r.topic, partitions: [partition] }])
    event('paused', this.r.m, { p: partition })
  }

  resume ({ partition }) {
    event('resumed', this.r.m, { p: partition })
    this.consumer.resume([{ topic: this.r.topic, partitions: [partition] }])
  }

  async leave () {
    await this.consumer.disconnect()
    event('left', this.r.m)
  }
}

serve(createRequire(import.meta.url)('kafkajs/package.json').version, {
  create: async ({ topic, partitions }) => {
    await (await admin()).createTopics({ topics: [{ topic, numPartitions: partitions, replicationFactor: 1 }] })
  },
  delete: async ({ topic }) => (await admin()).deleteTopics({ topics: [topic] }),
  grow: async ({ topic, partitions }) =>
    (await admin()).createPartitions({ topicPartitions: [{ topic, count: partitions }] }),
  trim: async ({ topic, offsets }) => {
    const partitions = Object.entries(offsets).map(([p, o]) => ({ partition: Number(p), offset: String(o) }))
    const a = await admin()
    await a.fetchTopicOffsets(topic) // deleteTopicRecords takes leaders only from what is known of the topic already
    await a.deleteTopicRecords({ topic, partitions })
  },
  list: async () => (await admin()).listTopics(),
  produce: async ({ topic, partition, values, codec, acks, idempotent }) => {
    const p = await producer(idempotent, idempotent)
    const messages = values.map(value => ({ value, partition }))
    const answer = await p.send({ topic, acks, compression: codecs[codec], messages })
    return acks === 0 ? -1 : Number(answer[0].baseOffset)
  },
  join: r => new Member(r).open()
})
