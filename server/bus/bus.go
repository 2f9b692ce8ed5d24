// Package bus carries hints between the nodes of one gateway: which
// verification has which version now. A hint says "look again", is fast and may
// be lost; the tail of the transition log (package watch) is the truth behind
// it and heals a lost one within watch.poll_interval.
//
//	commit here ─► Publish ─► queue ─► one sender ─► Carrier.send ─┐ one statement, or one
//	                          (full: dropped and counted)          │ message, for many hints
//	                                                               ▼
//	     Receiver.Hint ◄── others' ◄── one listener ◄── Postgres, or NATS core
//	     Receiver.HintAll ◄── a gap: subscribed anew, or messages dropped on the way
//
// Nothing of this happens in a transaction that changes anything: a transaction
// that notifies takes a lock which all of them share until its commit is done
// (PreCommit_Notify in Postgres' async.c), so ingest would come to a standstill.
//
// A node knows what it sent itself by a random name in each message, and ignores
// it, except that hearing itself is how it knows that the line works: behind a
// pooler LISTEN succeeds and nothing ever comes. Each says every second that it is
// there, and one that hears of no other sends no hints. Messages hold ids and versions,
// nothing of a person.
//
// It imports neither store nor watch: they are handed in.
package bus

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// Hint says that a version of a verification exists.
type Hint struct {
	ID uuid.UUID
	// Version is at least 1.
	Version int64
}

// Receiver is told what other nodes say. Its methods must not block: the bus
// hears nothing while they run.
type Receiver interface {
	// Hint says that this version exists somewhere.
	Hint(id uuid.UUID, version int64)
	// HintAll says that hints may have been lost, of any verification.
	HintAll()
}

// Reasons for dropping hints, as Meter gets them.
const (
	// DroppedFull is a queue that was full: hints come faster than they can be
	// sent.
	DroppedFull = "full"
	// DroppedUnsent is a batch that could not be sent.
	DroppedUnsent = "unsent"
	// DroppedUnreadable is a message of somebody who is no node of this release.
	DroppedUnreadable = "unreadable"
)

// Meter counts what the bus does.
type Meter interface {
	// HintsSent counts hints that this node sent.
	HintsSent(count int)
	// HintsReceived counts hints of other nodes.
	HintsReceived(count int)
	// HintsDropped counts hints that nobody gets, by one of the reasons; of an
	// unreadable message nobody knows how many it had, so it counts as one.
	HintsDropped(reason string, count int)
	// HintGap counts times after which everything watched is read again.
	HintGap()
	// BusConnected tells whether this node hears hints over the named carrier.
	BusConnected(carrier string, connected bool)
}

// Options are what a Bus works with; all are required.
type Options struct {
	Receiver Receiver
	Meter    Meter
	Log      *slog.Logger
}

const (
	// queueSize is how many hints wait at most: what a node sends in a second or
	// more, after which the tail is as fast.
	queueSize = 8192
	// nodeBytes is the size of a node's random name.
	nodeBytes = 8
)

// Bus is one node's end of the line between nodes. A nil *Bus is that of a
// single node: it takes hints and does nothing.
type Bus struct {
	carrier  Carrier
	receiver Receiver
	meter    Meter
	log      *slog.Logger
	// node is this node's random name.
	node  string
	queue chan Hint
	// lastWord is when another node was heard, or when this line began to work;
	// nil while it does not.
	lastWord atomic.Pointer[time.Time]
	// lastEcho is when this node heard itself.
	lastEcho atomic.Pointer[time.Time]
}

// Carrier is what takes messages between nodes: Postgres or NATS.
type Carrier interface {
	// name is the carrier's name in the configuration.
	name() string
	// remedy says what to look at when this node does not hear itself.
	remedy() string
	// send hands the messages over, in as few steps as it can.
	send(ctx context.Context, messages []string) error
	// listen subscribes, calls subscribed once nothing sent from then on is
	// missed, and deliver with each message, until ctx ends, subscribed fails or
	// the line breaks. It calls missed after messages were dropped on the way. All
	// calls come from the goroutine that called listen.
	listen(ctx context.Context, subscribed func() error, deliver func(message string), missed func()) error
}

// New returns a Bus over a carrier. Run runs it.
func New(carrier Carrier, o Options) *Bus {
	name := make([]byte, nodeBytes)
	// It never fails: crypto/rand documents that it ends the program instead.
	_, _ = rand.Read(name)
	return &Bus{
		carrier: carrier, receiver: o.Receiver, meter: o.Meter, log: o.Log,
		node: hex.EncodeToString(name), queue: make(chan Hint, queueSize),
	}
}

// Publish tells the other nodes, soon. It never blocks: when more waits than the
// line can take, the hint is dropped and counted.
func (b *Bus) Publish(h Hint) {
	if b == nil || h.Version < 1 {
		return
	}
	select {
	case b.queue <- h:
	default:
		b.meter.HintsDropped(DroppedFull, 1)
	}
}

// Run sends and listens until ctx ends, and waits for all of it to stop. A line that
// is down is told once, counted, and tried again; nothing else depends on it.
func (b *Bus) Run(ctx context.Context) {
	if b == nil {
		return
	}
	b.meter.BusConnected(b.carrier.name(), false)
	var running sync.WaitGroup
	running.Go(func() { b.send(ctx) })
	running.Go(func() { b.beat(ctx) })
	running.Go(func() { b.listen(ctx) })
	running.Wait()
}
