// A driver of the client matrix around sarama: tests/clients/README.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"millrace/clients/line"
)

func config() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.MaxVersion
	c.Metadata.Retry.Max = 200
	c.Metadata.Retry.Backoff = 50 * time.Millisecond
	c.Producer.Return.Successes = true
	c.Producer.Partitioner = sarama.NewManualPartitioner
	c.Producer.Retry.Max = 400
	c.Producer.Retry.Backoff = 50 * time.Millisecond
	c.Consumer.MaxWaitTime = 50 * time.Millisecond
	c.Consumer.Retry.Backoff = 50 * time.Millisecond
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	return c
}

type library struct {
	broker    string
	client    sarama.Client
	admin     sarama.ClusterAdmin
	lock      sync.Mutex
	producers map[string]sarama.SyncProducer
}

func (l *library) Create(topic string, partitions int32) error {
	return l.admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1}, false)
}

func (l *library) Delete(topic string) error { return l.admin.DeleteTopic(topic) }

func (l *library) Grow(topic string, partitions int32) error {
	return l.admin.CreatePartitions(topic, partitions, nil, false)
}

func (l *library) Trim(topic string, before map[int32]int64) error {
	return l.admin.DeleteRecords(topic, before)
}

func (l *library) List() ([]string, error) {
	found, err := l.admin.ListTopics()
	names := []string{}
	for name := range found {
		names = append(names, name)
	}
	return names, err
}

func (l *library) Configs(topic string) (map[string]string, error) {
	found, err := l.admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic})
	own := map[string]string{}
	for _, c := range found {
		if c.Source == sarama.SourceTopic {
			own[c.Name] = c.Value
		}
	}
	return own, err
}

func (l *library) Alter(r line.Request) error {
	edits := map[string]sarama.IncrementalAlterConfigsEntry{}
	for name, value := range r.Set {
		edits[name] = sarama.IncrementalAlterConfigsEntry{Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value}
	}
	for _, name := range r.Unset {
		edits[name] = sarama.IncrementalAlterConfigsEntry{Operation: sarama.IncrementalAlterConfigsOperationDelete}
	}
	return l.admin.IncrementalAlterConfig(sarama.TopicResource, r.Topic, edits, false)
}

func (l *library) producer(r line.Request) (sarama.SyncProducer, error) {
	l.lock.Lock()
	defer l.lock.Unlock()
	key := fmt.Sprint(r.Codec, r.Acks, r.Idempotent)
	if p := l.producers[key]; p != nil {
		return p, nil
	}
	c := config()
	c.Producer.RequiredAcks = sarama.RequiredAcks(r.Acks)
	c.Producer.Compression = map[string]sarama.CompressionCodec{"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP,
		"snappy": sarama.CompressionSnappy, "lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD}[r.Codec]
	c.Producer.Idempotent = r.Idempotent
	c.Net.MaxOpenRequests = 1 // sarama wants it for idempotence, and keeps order only with it
	p, err := sarama.NewSyncProducer([]string{l.broker}, c)
	if err == nil {
		l.producers[key] = p
	}
	return p, err
}

func (l *library) Produce(r line.Request) (int64, error) {
	p, err := l.producer(r)
	if err != nil {
		return 0, err
	}
	var messages []*sarama.ProducerMessage
	for _, v := range r.Values {
		messages = append(messages, &sarama.ProducerMessage{Topic: r.Topic, Partition: r.Partition, Value: sarama.StringEncoder(v)})
	}
	if err := p.SendMessages(messages); err != nil || r.Acks == 0 {
		return -1, err
	}
	return messages[0].Offset, nil
}

// tell drains what is there of a partition, so that a batch is one event, and returns the offset after the last.
func tell(name string, first *sarama.ConsumerMessage, messages <-chan *sarama.ConsumerMessage) int64 {
	offsets, values := []int64{first.Offset}, []string{string(first.Value)}
	for len(messages) > 0 {
		m, ok := <-messages
		if !ok {
			break
		}
		offsets, values = append(offsets, m.Offset), append(values, string(m.Value))
	}
	line.Records(name, first.Partition, offsets, values)
	return offsets[len(offsets)-1] + 1
}

// assigned is a member without group: one PartitionConsumer per partition. Sarama seeks by opening a new one.
type assigned struct {
	name, topic string
	consumer    sarama.Consumer
	lock        sync.Mutex
	open        map[int32]sarama.PartitionConsumer
	ended       map[int32]chan struct{}
}

func (l *library) Assign(r line.Request) (line.Member, error) {
	consumer, err := sarama.NewConsumer([]string{l.broker}, config())
	if err != nil {
		return nil, err
	}
	m := &assigned{name: r.M, topic: r.Topic, consumer: consumer, open: map[int32]sarama.PartitionConsumer{},
		ended: map[int32]chan struct{}{}}
	for p, o := range r.From {
		if err := m.start(p, o); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *assigned) start(partition int32, offset int64) error {
	pc, err := m.consumer.ConsumePartition(m.topic, partition, offset)
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	m.open[partition], m.ended[partition] = pc, ended
	go func() {
		defer close(ended)
		for message := range pc.Messages() {
			tell(m.name, message, pc.Messages())
		}
	}()
	return nil
}

func (m *assigned) Commit(map[int32]int64) error { return errors.New("no group") }

func (m *assigned) Seek(partition int32, offset int64) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.open[partition].AsyncClose()
	<-m.ended[partition]
	line.Event("seeked", m.name, "p", partition, "o", offset)
	return m.start(partition, offset)
}

func (m *assigned) Pause(partition int32) error {
	m.open[partition].Pause()
	time.Sleep(2 * config().Consumer.MaxWaitTime) // a fetch that is on its way still brings its records
	line.Event("paused", m.name, "p", partition)
	return nil
}

func (m *assigned) Resume(partition int32) error {
	line.Event("resumed", m.name, "p", partition)
	m.open[partition].Resume()
	return nil
}

func (m *assigned) Leave() error {
	for p, pc := range m.open {
		pc.AsyncClose()
		<-m.ended[p]
	}
	err := m.consumer.Close()
	line.Event("left", m.name)
	return err
}

// grouped is a member of a group. A claim's life is the ownership of its partition.
type grouped struct {
	r       line.Request
	admin   sarama.ClusterAdmin
	group   sarama.ConsumerGroup
	stop    context.CancelFunc
	ended   chan struct{}
	lock    sync.Mutex
	session sarama.ConsumerGroupSession
}

func (l *library) Join(r line.Request) (line.Member, error) {
	c := config()
	c.Consumer.Group.Session.Timeout = r.SessionTimeout()
	c.Consumer.Group.Heartbeat.Interval = 300 * time.Millisecond
	c.Consumer.Group.InstanceId = r.Instance
	c.Consumer.Group.Rebalance.Retry.Max = 200
	c.Consumer.Group.Rebalance.Retry.Backoff = 100 * time.Millisecond
	c.Consumer.Offsets.AutoCommit.Enable = r.Commit == "auto"
	c.Consumer.Offsets.AutoCommit.Interval = 100 * time.Millisecond
	strategy := sarama.NewBalanceStrategyRange()
	if r.Strategy == "cooperative" {
		strategy = sarama.NewBalanceStrategyCooperativeSticky()
	}
	c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategy}
	group, err := sarama.NewConsumerGroup([]string{l.broker}, r.Group, c)
	if err != nil {
		return nil, err
	}
	m := &grouped{r: r, admin: l.admin, group: group, ended: make(chan struct{})}
	running, stop := context.WithCancel(context.Background())
	m.stop = stop
	go func() {
		defer close(m.ended)
		for running.Err() == nil {
			if err := group.Consume(running, []string{r.Topic}, m); err != nil {
				fmt.Fprintln(os.Stderr, "consume:", err)
				time.Sleep(50 * time.Millisecond)
			}
		}
	}()
	return m, nil
}

func (m *grouped) Setup(s sarama.ConsumerGroupSession) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.session = s
	return nil
}

func (m *grouped) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (m *grouped) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	partition := []int32{claim.Partition()}
	line.Event("assigned", m.r.M, "p", partition, "g", s.GenerationID())
	for message := range claim.Messages() {
		next := tell(m.r.M, message, claim.Messages())
		switch m.r.Commit {
		case "each":
			m.Commit(map[int32]int64{claim.Partition(): next}) // not told when refused: these may come again
		case "auto":
			s.MarkOffset(m.r.Topic, claim.Partition(), next, "")
		}
	}
	line.Event("revoked", m.r.M, "p", partition)
	return nil
}

// Commit asks the broker afterwards, as sarama's own commit does not say whether it was taken.
func (m *grouped) Commit(offsets map[int32]int64) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	var partitions []int32
	for p, o := range offsets {
		m.session.MarkOffset(m.r.Topic, p, o, "")
		partitions = append(partitions, p)
	}
	m.session.Commit()
	found, err := m.admin.ListConsumerGroupOffsets(m.r.Group, map[string][]int32{m.r.Topic: partitions})
	if err != nil {
		return err
	}
	for p, o := range offsets {
		if block := found.GetBlock(m.r.Topic, p); block == nil || block.Offset != o {
			return fmt.Errorf("offset %d of partition %d is not committed: %+v", o, p, block)
		}
	}
	line.Event("committed", m.r.M, "o", offsets)
	return nil
}

func (m *grouped) Seek(int32, int64) error { return errors.New("sarama's groups do not seek") }

func (m *grouped) Pause(partition int32) error {
	m.group.Pause(map[string][]int32{m.r.Topic: {partition}})
	time.Sleep(2 * config().Consumer.MaxWaitTime)
	line.Event("paused", m.r.M, "p", partition)
	return nil
}

func (m *grouped) Resume(partition int32) error {
	line.Event("resumed", m.r.M, "p", partition)
	m.group.Resume(map[string][]int32{m.r.Topic: {partition}})
	return nil
}

func (m *grouped) Leave() error {
	m.stop()
	<-m.ended
	err := m.group.Close()
	line.Event("left", m.r.M)
	return err
}

func main() {
	client, err := sarama.NewClient([]string{os.Args[1]}, config())
	if err != nil {
		panic(err)
	}
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		panic(err)
	}
	line.Serve(line.Version("github.com/IBM/sarama"), &library{broker: os.Args[1], client: client, admin: admin,
		producers: map[string]sarama.SyncProducer{}})
}
