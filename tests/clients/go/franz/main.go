// A driver of the client matrix around franz-go: tests/clients/README.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/clients/line"
)

var background = context.Background()

func common(broker string, more ...kgo.Opt) []kgo.Opt {
	return append([]kgo.Opt{kgo.SeedBrokers(broker), kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }),
		kgo.MetadataMinAge(50 * time.Millisecond)}, more...)
}

type franz struct {
	broker    string
	admin     *kadm.Client
	lock      sync.Mutex
	producers map[string]*kgo.Client
}

func (f *franz) Create(topic string, partitions int32) error {
	_, err := f.admin.CreateTopic(background, partitions, 1, nil, topic)
	return err
}

func (f *franz) Delete(topic string) error {
	_, err := f.admin.DeleteTopic(background, topic)
	return err
}

func (f *franz) Grow(topic string, partitions int32) error {
	done, err := f.admin.UpdatePartitions(background, int(partitions), topic)
	if err != nil {
		return err
	}
	return done.Error()
}

func (f *franz) Trim(topic string, before map[int32]int64) error {
	offsets := kadm.Offsets{}
	for partition, offset := range before {
		offsets.AddOffset(topic, partition, offset, -1)
	}
	done, err := f.admin.DeleteRecords(background, offsets)
	if err != nil {
		return err
	}
	return done.Error()
}

func (f *franz) List() ([]string, error) {
	found, err := f.admin.ListTopics(background)
	return found.Names(), err
}

func (f *franz) Configs(topic string) (map[string]string, error) {
	found, err := f.admin.DescribeTopicConfigs(background, topic)
	own := map[string]string{}
	for _, resource := range found {
		if resource.Err != nil {
			return nil, resource.Err
		}
		for _, c := range resource.Configs {
			if c.Source.String() == "DYNAMIC_TOPIC_CONFIG" {
				own[c.Key] = c.MaybeValue()
			}
		}
	}
	return own, err
}

func (f *franz) Alter(r line.Request) error {
	edits := []kadm.AlterConfig{}
	for name, value := range r.Set {
		edits = append(edits, kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: &value})
	}
	for _, name := range r.Unset {
		edits = append(edits, kadm.AlterConfig{Op: kadm.DeleteConfig, Name: name})
	}
	answers, err := f.admin.AlterTopicConfigs(background, edits, r.Topic)
	for _, answer := range answers {
		if answer.Err != nil {
			return answer.Err
		}
	}
	return err
}

func (f *franz) producer(r line.Request) (*kgo.Client, error) {
	f.lock.Lock()
	defer f.lock.Unlock()
	key := fmt.Sprint(r.Codec, r.Acks, r.Idempotent)
	if p := f.producers[key]; p != nil {
		return p, nil
	}
	codec := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}[r.Codec]
	acks := map[int]kgo.Acks{0: kgo.NoAck(), 1: kgo.LeaderAck(), -1: kgo.AllISRAcks()}[r.Acks]
	options := common(f.broker, kgo.ProducerBatchCompression(codec), kgo.RequiredAcks(acks),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(2*time.Millisecond))
	if !r.Idempotent {
		options = append(options, kgo.DisableIdempotentWrite())
	}
	p, err := kgo.NewClient(options...)
	f.producers[key] = p
	return p, err
}

func (f *franz) Produce(r line.Request) (int64, error) {
	p, err := f.producer(r)
	if err != nil {
		return 0, err
	}
	var records []*kgo.Record
	for _, v := range r.Values {
		records = append(records, &kgo.Record{Topic: r.Topic, Partition: r.Partition, Value: []byte(v)})
	}
	limit, stop := context.WithTimeout(background, time.Minute)
	defer stop()
	results := p.ProduceSync(limit, records...)
	if err := results.FirstErr(); err != nil || r.Acks == 0 {
		return -1, err
	}
	return records[0].Offset, nil
}

type member struct {
	name, topic string
	each        bool
	client      *kgo.Client
	stop        context.CancelFunc
	ended       chan struct{}
	between     sync.Mutex // held while records are told, so that seeks and pauses stand between them
}

func partitions(given map[string][]int32, topic string) []int32 {
	if ps := given[topic]; ps != nil {
		return ps
	}
	return []int32{}
}

func (f *franz) Join(r line.Request) (line.Member, error) {
	m := &member{name: r.M, topic: r.Topic, each: r.Commit == "each"}
	tell := func(kind string) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, c *kgo.Client, given map[string][]int32) {
			_, generation := c.GroupMetadata()
			line.Event(kind, r.M, "p", partitions(given, r.Topic), "g", generation)
		}
	}
	balancer := kgo.RangeBalancer()
	if r.Strategy == "cooperative" {
		balancer = kgo.CooperativeStickyBalancer()
	}
	options := []kgo.Opt{kgo.ConsumerGroup(r.Group), kgo.ConsumeTopics(r.Topic), kgo.Balancers(balancer),
		kgo.SessionTimeout(r.SessionTimeout()), kgo.HeartbeatInterval(300 * time.Millisecond), kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(tell("assigned")), kgo.OnPartitionsRevoked(tell("revoked")), kgo.OnPartitionsLost(tell("lost"))}
	if r.Commit == "auto" {
		options = append(options, kgo.AutoCommitInterval(100*time.Millisecond))
	} else {
		options = append(options, kgo.DisableAutoCommit())
	}
	if r.Instance != "" {
		options = append(options, kgo.InstanceID(r.Instance))
	}
	return m, m.open(f.broker, options)
}

func (f *franz) Assign(r line.Request) (line.Member, error) {
	m := &member{name: r.M, topic: r.Topic}
	from := map[int32]kgo.Offset{}
	for p, o := range r.From {
		from[p] = kgo.NewOffset().At(o)
	}
	return m, m.open(f.broker, []kgo.Opt{kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{r.Topic: from})})
}

func (m *member) open(broker string, options []kgo.Opt) error {
	options = append(options, kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(50*time.Millisecond))
	client, err := kgo.NewClient(common(broker, options...)...)
	if err != nil {
		return err
	}
	var stopped context.Context
	stopped, m.stop = context.WithCancel(background)
	m.client, m.ended = client, make(chan struct{})
	go m.read(stopped)
	return nil
}

func (m *member) read(stopped context.Context) {
	defer close(m.ended)
	for stopped.Err() == nil {
		fetches := m.client.PollFetches(stopped)
		m.between.Lock()
		told := map[int32]int64{}
		fetches.EachPartition(func(ftp kgo.FetchTopicPartition) {
			if len(ftp.Records) == 0 {
				return
			}
			var offsets []int64
			var values []string
			for _, r := range ftp.Records {
				offsets, values = append(offsets, r.Offset), append(values, string(r.Value))
			}
			line.Records(m.name, ftp.Partition, offsets, values)
			told[ftp.Partition] = offsets[len(offsets)-1] + 1
		})
		if m.each && len(told) > 0 {
			m.Commit(told) // not told when refused: these may come again
		}
		m.between.Unlock()
		m.client.AllowRebalance()
	}
}

func (m *member) offsets(given map[int32]int64) map[string]map[int32]kgo.EpochOffset {
	out := map[int32]kgo.EpochOffset{}
	for p, o := range given {
		out[p] = kgo.EpochOffset{Epoch: -1, Offset: o}
	}
	return map[string]map[int32]kgo.EpochOffset{m.topic: out}
}

func (m *member) Commit(offsets map[int32]int64) error {
	var failed error
	limit, stop := context.WithTimeout(background, 20*time.Second)
	defer stop()
	records := []*kgo.Record{}
	for p, o := range offsets {
		records = append(records, &kgo.Record{Topic: m.topic, Partition: p, Offset: o - 1, LeaderEpoch: -1})
	}
	if failed = m.client.CommitRecords(limit, records...); failed == nil {
		line.Event("committed", m.name, "o", offsets)
	}
	return failed
}

func (m *member) Seek(partition int32, offset int64) error {
	m.between.Lock()
	defer m.between.Unlock()
	m.client.SetOffsets(m.offsets(map[int32]int64{partition: offset}))
	line.Event("seeked", m.name, "p", partition, "o", offset)
	return nil
}

func (m *member) Pause(partition int32) error {
	m.between.Lock()
	defer m.between.Unlock()
	m.client.PauseFetchPartitions(map[string][]int32{m.topic: {partition}})
	line.Event("paused", m.name, "p", partition)
	return nil
}

func (m *member) Resume(partition int32) error {
	m.between.Lock()
	defer m.between.Unlock()
	line.Event("resumed", m.name, "p", partition)
	m.client.ResumeFetchPartitions(map[string][]int32{m.topic: {partition}})
	return nil
}

func (m *member) Leave() error {
	m.stop()
	<-m.ended
	m.client.CloseAllowingRebalance()
	line.Event("left", m.name)
	return nil
}

func main() {
	client, err := kgo.NewClient(common(os.Args[1])...)
	if err != nil {
		panic(errors.Join(errors.New("no client"), err))
	}
	line.Serve(line.Version("github.com/twmb/franz-go"), &franz{broker: os.Args[1], admin: kadm.NewClient(client),
		producers: map[string]*kgo.Client{}})
}
