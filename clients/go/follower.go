package verigate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	// patienceWithStreams is how many streams in a row may bring no message before
	// it polls, firstPolling how long it then polls before the next one: twice as
	// long each time that it fails again, up to longestPolling.
	patienceWithStreams = 3
	firstPolling        = 5 * time.Second
	longestPolling      = 5 * time.Minute
	// pollWait is how long the gateway holds a poll, pollLimit how long an answer
	// may take.
	pollWait  = 25 * time.Second
	pollLimit = 30 * time.Second
	// quickPoll is sooner than a gateway answers that has nothing new to say.
	quickPoll = time.Second
)

var (
	// errSilent is the cause when a watchdog has rung.
	errSilent     = errors.New("silent")
	errNothingNew = errors.New("a poll was answered at once with nothing new")
)

// stream is what generated clients return for a server's stream.
type stream[M any] interface {
	Receive() (M, error)
	Close() error
}

// outcome is what a message means for the stream that it came over.
type outcome struct {
	// news: it says more than was known.
	news bool
	// done: there is nothing left to follow, or nobody who wants it.
	done bool
	// drained: the gateway asks to come back after pause.
	drained bool
	pause   time.Duration
}

// ending is how an attempt, which is one stream or one poll, ended.
type ending struct {
	outcome

	// heard: a message came.
	heard bool
	// well: there was news, or the stream went on after its first message. A
	// gateway that repeats the state and fails each time is not well.
	well bool
	// again: the next attempt follows without a pause.
	again bool
	// err is why; nil when the gateway ended the stream in order.
	err error
}

// follower makes one attempt after the other.
type follower[M any] struct {
	settings

	// open opens a stream that goes on where the last one ended.
	open func(ctx context.Context) (stream[M], error)
	// take deals with one message.
	take func(m M) outcome
	// poll does without a stream, and tells whether there was news; nil if it
	// cannot.
	poll func(ctx context.Context) (outcome, bool, error)

	backoff backoff
	// empty counts the streams in a row without a message; after too many of them
	// there is none before streamAt.
	empty    int
	streamAt time.Time
	// renewed: the token was refused, and asked for anew, since all was well.
	renewed bool
	// told is the last state of the line that was reported.
	told LineState
}

// run returns nil when there is nothing left to follow or nobody who wants it,
// ctx's cause when that ended, or an error that no retry can heal.
func (f *follower[M]) run(ctx context.Context) error {
	defer f.tell(Line{State: Ended})
	for {
		began := f.clock.Now()
		attempt := f.attempt
		if f.polls(began) {
			attempt = f.tryPoll
		}
		noted, learnt := withNotes(ctx)
		end := attempt(noted)
		renewable, retryAfter := learnt.read()
		if end.well {
			f.renewed = false
			f.backoff.reset()
		}
		switch {
		case end.done:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case end.again:
			continue
		case refused(end.err) && renewable && !f.renewed:
			f.renewed = true
			continue
		case hopeless(end.err):
			return end.err
		}
		pause := askedPause(end.err, retryAfter) + f.backoff.after(end, f.clock, began)
		f.tell(Line{State: Waiting, RetryIn: pause, Reason: end.err})
		if f.clock.Pause(ctx, pause) != nil {
			return context.Cause(ctx)
		}
	}
}

// polls tells whether the next attempt is a poll.
func (f *follower[M]) polls(now time.Time) bool {
	return f.poll != nil && f.empty >= patienceWithStreams && now.Before(f.streamAt)
}

// attempt follows one stream to its end.
func (f *follower[M]) attempt(ctx context.Context) ending {
	f.tell(Line{State: Connecting})
	end := f.listen(ctx)
	if end.heard {
		f.empty = 0
	} else if f.empty++; f.empty >= patienceWithStreams {
		f.streamAt = f.clock.Now().Add(doubled(firstPolling, longestPolling, f.empty-patienceWithStreams))
	}
	return end
}

// tryPoll polls once. When that fails too, the line is at fault and not streams,
// so the next attempt is one.
func (f *follower[M]) tryPoll(ctx context.Context) ending {
	end := f.pollOnce(ctx)
	if end.err != nil && !errors.Is(end.err, errNothingNew) {
		f.empty, f.streamAt = patienceWithStreams, f.clock.Now()
	}
	return end
}

func (f *follower[M]) listen(ctx context.Context) ending {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	limit := f.opening()
	watchdog := f.clock.Alarm(limit, func() { cancel(errSilent) })
	defer watchdog.Stop()
	var end ending
	s, err := f.open(ctx)
	if err != nil {
		return end.failed(ctx, err, limit)
	}
	defer func() {
		cancel(nil) // closing an open stream would first read what is left of it
		_ = s.Close()
	}()
	for {
		m, err := s.Receive()
		if err != nil {
			return end.failed(ctx, err, limit)
		}
		// While the consumer is busy with a message, silence means nothing.
		watchdog.Stop()
		f.tell(Line{State: Live})
		end.outcome = f.take(m)
		end.well = end.well || end.heard || end.news
		end.heard = true
		if end.done || end.drained {
			return end
		}
		limit = f.silence()
		watchdog.Reset(limit)
	}
}

// pollOnce asks once.
func (f *follower[M]) pollOnce(ctx context.Context) ending {
	f.tell(Line{State: Polling})
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := f.clock.Alarm(pollLimit, func() { cancel(errSilent) })
	defer watchdog.Stop()
	began := f.clock.Now()
	var end ending
	meaning, news, err := f.poll(ctx)
	switch {
	case err != nil:
		return end.failed(ctx, err, pollLimit)
	case !news && !meaning.done && f.clock.Now().Sub(began) < quickPoll:
		// A cache in between, or a gateway that goes away, must not be hammered.
		end.err = errNothingNew
		return end
	}
	end.outcome, end.heard, end.well, end.again = meaning, true, true, true
	return end
}

// failed says why an attempt ended.
func (e ending) failed(ctx context.Context, err error, limit time.Duration) ending {
	switch {
	case errors.Is(context.Cause(ctx), errSilent):
		e.err = fmt.Errorf("no message for %s", limit)
	case errors.Is(err, io.EOF): // the gateway ended the stream in order
	default:
		e.err = err
	}
	return e
}

// tell reports the line: each wait, and each change of the state.
func (f *follower[M]) tell(line Line) {
	if line.State == Waiting || line.State != f.told {
		f.told = line.State
		f.onLine(line)
	}
}
