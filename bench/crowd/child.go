// Package crowd plays watchers: generated Connect clients that open WatchStatus
// for one verification each, in a process of their own, so that what they cost is
// not counted as the gateway's or as the sender's.
//
//	bench ── orders, one JSON line each ──► child ── WatchStatus ──► gateway
//	bench ◄── answers, one JSON line each ── child ◄── messages ──
//
// Parent and child read the same clock, so a time that the child saw can be
// compared with one that the parent saw.
package crowd

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/secret"
)

// The operations of an order.
const (
	opOpen  = "open"
	opTold  = "told"
	opClose = "close"
)

// order is one line to the child.
type order struct {
	Op string `json:"op"`
	// Open fields: what to watch, where and how.
	Address   string    `json:"address,omitempty"`
	SetNumber int       `json:"set_number,omitempty"`
	SetTime   time.Time `json:"set_time,omitzero"`
	Project   string    `json:"project,omitempty"`
	First     int64     `json:"first,omitempty"`
	Count     int64     `json:"count,omitempty"`
	// PerLine is how many watchers share one HTTP/2 connection; 0 for HTTP/1.1.
	PerLine int64 `json:"per_line,omitempty"`
	// Want is how many terminal messages opTold waits for.
	Want int64 `json:"want,omitempty"`
	// Patience bounds the wait.
	Patience time.Duration `json:"patience,omitempty"`
}

// reply is one line from the child.
type reply struct {
	Error string `json:"error,omitempty"`
	// Told are the terminal messages since the last open.
	Told []Told `json:"told,omitempty"`
}

// Told is one terminal message.
type Told struct {
	Row int64 `json:"n"`
	// At is Unix time in nanoseconds.
	At int64 `json:"at"`
}

// Where the child finds the key that client tokens are signed with, and its id.
const (
	envTokens     = "VERIGATE_BENCH_CROWD_KEY"
	envTokenKeyID = "VERIGATE_BENCH_CROWD_KEY_ID"
)

// ready is the child's first line.
const ready = "ready"

// Child runs in the child process until in ends: it carries out orders.
func Child(ctx context.Context, in io.Reader, out io.Writer) error {
	tokens, err := access.NewTokens([]access.TokenKey{{ID: os.Getenv(envTokenKeyID), Secret: secret.New(os.Getenv(envTokens))}})
	if err != nil {
		return fmt.Errorf("%s: %w", envTokens, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := &child{tokens: tokens, told: make(chan struct{}, 1), failed: make(chan error, 1)}
	if _, err := fmt.Fprintln(out, ready); err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	encoder := json.NewEncoder(out)
	for lines.Scan() {
		var o order
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return fmt.Errorf("an order cannot be read: %w", err)
		}
		if err := encoder.Encode(c.carryOut(ctx, o)); err != nil {
			return err
		}
	}
	c.close()
	return lines.Err()
}

func (c *child) carryOut(ctx context.Context, o order) reply {
	var r reply
	var err error
	switch o.Op {
	case opOpen:
		err = c.open(ctx, o)
	case opTold:
		r.Told, err = c.await(ctx, o)
	case opClose:
		c.close()
	default:
		err = fmt.Errorf("unknown order %q", o.Op)
	}
	if err != nil {
		r.Error = err.Error()
	}
	return r
}
