// Package line is the drivers' side of the line protocol in tests/clients/README.md.
package line

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"time"
)

// Request holds the fields of all operations.
type Request struct {
	ID         int               `json:"id"`
	Op         string            `json:"op"`
	M          string            `json:"m"`
	Topic      string            `json:"topic"`
	Group      string            `json:"group"`
	Partition  int32             `json:"partition"`
	Partitions int32             `json:"partitions"`
	Offset     int64             `json:"offset"`
	Offsets    map[int32]int64   `json:"offsets"`
	From       map[int32]int64   `json:"from"`
	Values     []string          `json:"values"`
	Codec      string            `json:"codec"`
	Acks       int               `json:"acks"`
	Idempotent bool              `json:"idempotent"`
	Session    int               `json:"session"`
	Commit     string            `json:"commit"`
	Instance   string            `json:"instance"`
	Strategy   string            `json:"strategy"`
	Set        map[string]string `json:"set"`
	Unset      []string          `json:"unset"`
}

// SessionTimeout is the request's as a duration.
func (r Request) SessionTimeout() time.Duration { return time.Duration(r.Session) * time.Millisecond }

var out sync.Mutex

func say(message map[string]any) {
	text, err := json.Marshal(message)
	if err != nil {
		panic(err)
	}
	out.Lock()
	defer out.Unlock()
	os.Stdout.Write(append(text, '\n'))
}

// Event tells what a member saw; more are pairs of name and value.
func Event(kind, member string, more ...any) {
	message := map[string]any{"e": kind, "m": member, "at": time.Now().UnixMicro()}
	for i := 0; i+1 < len(more); i += 2 {
		message[more[i].(string)] = more[i+1]
	}
	say(message)
}

// Records tells records of one partition that were read in order.
func Records(member string, partition int32, offsets []int64, values []string) {
	Event("records", member, "p", partition, "o", offsets, "v", values)
}

// Member is a consumer as the harness sees it.
type Member interface {
	Commit(offsets map[int32]int64) error
	Seek(partition int32, offset int64) error
	Pause(partition int32) error
	Resume(partition int32) error
	Leave() error
}

// Library is what a driver has to bring.
type Library interface {
	Create(topic string, partitions int32) error
	Delete(topic string) error
	Grow(topic string, partitions int32) error
	Trim(topic string, before map[int32]int64) error
	List() ([]string, error)
	Configs(topic string) (map[string]string, error)
	Alter(r Request) error
	Produce(r Request) (int64, error)
	Assign(r Request) (Member, error)
	Join(r Request) (Member, error)
}

// Version of a module that this program was built with.
func Version(module string) string {
	info, _ := debug.ReadBuildInfo()
	for _, m := range info.Deps {
		if m.Path == module {
			return m.Version[1:]
		}
	}
	return "?"
}

// Serve answers requests until stdin ends.
func Serve(version string, library Library) {
	var lock sync.Mutex
	members := map[string]Member{}
	say(map[string]any{"e": "ready", "version": version})
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		text, err := in.ReadBytes('\n')
		if err != nil {
			os.Exit(0)
		}
		var r Request
		if err := json.Unmarshal(text, &r); err != nil {
			panic(err)
		}
		go func() {
			ok, err := one(r, library, members, &lock)
			if err != nil {
				say(map[string]any{"id": r.ID, "error": err.Error()})
			} else {
				say(map[string]any{"id": r.ID, "ok": ok})
			}
		}()
	}
}

func one(r Request, library Library, members map[string]Member, lock *sync.Mutex) (any, error) {
	lock.Lock()
	m := members[r.M]
	lock.Unlock()
	switch r.Op {
	case "create":
		return nil, library.Create(r.Topic, r.Partitions)
	case "delete":
		return nil, library.Delete(r.Topic)
	case "grow":
		return nil, library.Grow(r.Topic, r.Partitions)
	case "trim":
		return nil, library.Trim(r.Topic, r.Offsets)
	case "list":
		return library.List()
	case "configs":
		return library.Configs(r.Topic)
	case "alter":
		return nil, library.Alter(r)
	case "produce":
		return library.Produce(r)
	case "assign", "join":
		open := library.Join
		if r.Op == "assign" {
			open = library.Assign
		}
		m, err := open(r)
		lock.Lock()
		members[r.M] = m
		lock.Unlock()
		return nil, err
	case "commit":
		return nil, m.Commit(r.Offsets)
	case "seek":
		return nil, m.Seek(r.Partition, r.Offset)
	case "pause":
		return nil, m.Pause(r.Partition)
	case "resume":
		return nil, m.Resume(r.Partition)
	case "leave":
		return nil, m.Leave()
	}
	return nil, fmt.Errorf("no such op: %s", r.Op)
}
