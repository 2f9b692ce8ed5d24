// Package load sends prepared webhooks over HTTP/1.1 connections that are kept
// open, as cheaply as real HTTP can be sent: it shares the machine with what it
// measures.
//
//	Closed: each connection sends the next as soon as the last was answered
//	Open:   arrivals at a fixed rate; each is timed from when it was due
//
// It must not know what a verification is: a Source makes the requests.
package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Source makes requests. Each connection has one of its own.
type Source interface {
	// Request returns the request about row n; it is good until the next call.
	Request(n int64, now time.Time) []byte
}

// Plan is one measurement.
type Plan struct {
	// Address is host:port of the server.
	Address string
	// Connections is how many lines are open at a time.
	Connections int
	// NewSource is called once for each of them.
	NewSource func() Source
	// First is the first row that nobody has used; rows from Until on do not
	// exist, and a measurement that gets there ends early.
	First, Until int64
	Duration     time.Duration
	// Rate is the arrivals a second of Open.
	Rate float64
	// Answered, if set, is told of each row that was acknowledged, and when its
	// request was sent. It is called from many goroutines.
	Answered func(n int64, sent time.Time)
}

// Outcome is what was answered.
type Outcome struct {
	// Acknowledged is how many answers were 200.
	Acknowledged int64
	// Codes counts all answers by their status.
	Codes map[int]int64
	// WithoutRetryAfter counts the answers with 503 that did not say when to come
	// back.
	WithoutRetryAfter int64
	// Broken counts requests that got no answer at all.
	Broken int64
	// Times are of the acknowledged ones, in no order.
	Times []time.Duration
	// Elapsed is from the first request to the last answer.
	Elapsed time.Duration
	// Next is the first row that was not used.
	Next int64
	// Unsent counts the arrivals of Open that no line was free for in time.
	Unsent int64
	// Starved tells that the rows ran out before the time.
	Starved bool
}

// PerSecond is the rate of acknowledgements.
func (o *Outcome) PerSecond() float64 { return float64(o.Acknowledged) / o.Elapsed.Seconds() }

// answerTimeout bounds the wait for one answer.
const answerTimeout = 30 * time.Second

// Closed keeps every connection busy for the plan's time.
func Closed(ctx context.Context, plan Plan) (*Outcome, error) {
	start := time.Now()
	end := start.Add(plan.Duration)
	return run(ctx, plan, start, func(int64) (time.Time, bool) {
		now := time.Now()
		return now, now.Before(end)
	})
}

// Open sends arrivals at the plan's rate whatever the answers do, as far as
// there are connections; what has to wait for one counts as time.
func Open(ctx context.Context, plan Plan) (*Outcome, error) {
	start := time.Now()
	end := start.Add(plan.Duration + lateness)
	gap := float64(time.Second) / plan.Rate
	outcome, err := run(ctx, plan, start, func(i int64) (time.Time, bool) {
		after := time.Duration(float64(i) * gap)
		return start.Add(after), after < plan.Duration && time.Now().Before(end)
	})
	if err == nil {
		sent := outcome.Broken
		for _, n := range outcome.Codes {
			sent += n
		}
		outcome.Unsent = max(0, min(int64(plan.Rate*plan.Duration.Seconds()), plan.Until-plan.First)-sent)
	}
	return outcome, err
}

// lateness is how long after the last arrival was due one is still sent.
const lateness = 500 * time.Millisecond

// run lets every connection take row after row. due says when the i-th request
// is to be sent, and whether at all.
func run(ctx context.Context, plan Plan, start time.Time, due func(i int64) (time.Time, bool)) (*Outcome, error) {
	var next atomic.Int64
	workers := make([]*worker, plan.Connections)
	for i := range workers {
		w, err := dial(ctx, plan)
		if err != nil {
			for _, open := range workers[:i] {
				_ = open.conn.Close()
			}
			return nil, err
		}
		workers[i] = w
	}
	var group sync.WaitGroup
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for _, w := range workers {
		group.Go(func() {
			if err := w.work(ctx, &next, due); err != nil {
				cancel(err)
			}
		})
	}
	group.Wait()
	total := merge(workers)
	total.Elapsed = time.Since(start)
	total.Next = min(plan.First+next.Load(), plan.Until)
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return total, nil
}

func merge(workers []*worker) *Outcome {
	total := &Outcome{Codes: map[int]int64{}}
	for _, w := range workers {
		_ = w.conn.Close()
		total.Acknowledged += w.outcome.Acknowledged
		total.WithoutRetryAfter += w.outcome.WithoutRetryAfter
		total.Broken += w.outcome.Broken
		total.Starved = total.Starved || w.outcome.Starved
		total.Times = append(total.Times, w.outcome.Times...)
		for code, n := range w.outcome.Codes {
			total.Codes[code] += n
		}
	}
	return total
}

// worker is one connection.
type worker struct {
	plan    Plan
	source  Source
	conn    net.Conn
	reader  *bufio.Reader
	timer   *time.Timer
	outcome Outcome
}

func dial(ctx context.Context, plan Plan) (*worker, error) {
	conn, err := (&net.Dialer{Timeout: answerTimeout}).DialContext(ctx, "tcp", plan.Address)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", plan.Address, err)
	}
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	return &worker{
		plan: plan, source: plan.NewSource(), conn: conn, reader: bufio.NewReader(conn), timer: timer,
		outcome: Outcome{Codes: map[int]int64{}},
	}, nil
}

func (w *worker) work(ctx context.Context, next *atomic.Int64, due func(i int64) (time.Time, bool)) error {
	for ctx.Err() == nil {
		i := next.Add(1) - 1
		at, more := due(i)
		if !more {
			return nil
		}
		if w.plan.First+i >= w.plan.Until {
			w.outcome.Starved = true
			return nil
		}
		if !w.wait(ctx, at) {
			return nil
		}
		if err := w.send(ctx, w.plan.First+i, at); err != nil {
			return err
		}
	}
	return nil
}

// wait returns when it is time, or false when ctx is done.
func (w *worker) wait(ctx context.Context, at time.Time) bool {
	left := time.Until(at)
	if left <= 0 {
		return true
	}
	w.timer.Reset(left)
	select {
	case <-w.timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// send makes one request and reads its answer. A connection that breaks is
// counted and opened again.
func (w *worker) send(ctx context.Context, n int64, due time.Time) error {
	now := time.Now()
	code, retryAfter, err := w.exchange(w.source.Request(n, now), now)
	if err != nil {
		w.outcome.Broken++
		_ = w.conn.Close()
		fresh, dialErr := dial(ctx, w.plan)
		if dialErr != nil {
			return errors.Join(err, dialErr)
		}
		w.conn, w.reader = fresh.conn, fresh.reader
		return nil
	}
	w.outcome.Codes[code]++
	const ok, unavailable = 200, 503
	switch {
	case code == ok:
		w.outcome.Acknowledged++
		w.outcome.Times = append(w.outcome.Times, time.Since(due))
		if w.plan.Answered != nil {
			w.plan.Answered(n, now)
		}
	case code == unavailable && !retryAfter:
		w.outcome.WithoutRetryAfter++
	}
	return nil
}

func (w *worker) exchange(request []byte, now time.Time) (code int, retryAfter bool, err error) {
	if err := w.conn.SetDeadline(now.Add(answerTimeout)); err != nil {
		return 0, false, err
	}
	if _, err := w.conn.Write(request); err != nil {
		return 0, false, err
	}
	return readAnswer(w.reader)
}
