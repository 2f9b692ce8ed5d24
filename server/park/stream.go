package park

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"
)

// What can happen to a stream. Bits wait in its state until its goroutine takes
// them; running says that there is one, and stays when the stream is over.
const (
	news uint32 = 1 << iota
	beat
	old
	expired
	gone
	running
)

// Stream is one open stream. It is small, because there are a hundred thousand.
type Stream struct {
	lot  *Lot
	live Live
	// request has the context that ends when the line is gone. Of a parked stream
	// it is what net/http keeps anyway.
	request *http.Request
	// over is closed when nothing will be sent any more.
	over  chan struct{}
	state atomic.Uint32

	// The place on the wheel, under the lock of the Lot: the tick, the neighbours,
	// when the stream is old, and when its caller's deadline passes; zero if it has
	// none.
	due     int64
	next    *Stream
	link    **Stream
	ends    time.Duration
	expires time.Duration
	rhythm  rhythm

	// out is where a parked stream writes; nil if it is not parked.
	out http.ResponseWriter
	// restore gives back what slim took of it.
	restore func()
	// contentType is how connect knows the protocol again, to write its end.
	contentType string
	// finish are told of the end of a parked stream, in this order.
	finish []func(error) error
	// err is how a stream ended whose handler waits for it.
	err error
}

// News says that there is something to follow. It never blocks.
func (s *Stream) News() { s.raise(news) }

// newStream returns a stream at which nothing happens before begin.
func newStream(l *Lot, live Live) *Stream {
	s := &Stream{lot: l, live: live, over: make(chan struct{})}
	s.state.Store(running)
	return s
}

func (s *Stream) begin() {
	s.lot.enter(s)
	s.live.Begin(s)
	if !s.state.CompareAndSwap(running, 0) {
		s.lot.crew.run(s)
	}
}

// wait returns when the stream is over. Its stack is what a parked stream costs:
// nothing deep is called from here.
func (s *Stream) wait(lineGone <-chan struct{}) {
	select {
	case <-lineGone:
		s.raise(gone)
		<-s.over
	case <-s.over:
	}
}

// raise notes what happened, and starts a goroutine unless there is one.
func (s *Stream) raise(what uint32) {
	if s.state.Or(what|running)&running == 0 {
		s.lot.crew.run(s)
	}
}

// run does what there is to do until there is nothing.
func (s *Stream) run() {
	for {
		todo := s.state.Swap(running) &^ running
		if todo == 0 {
			if s.state.CompareAndSwap(running, 0) {
				return
			}
			continue
		}
		if done, err := s.do(todo); done || err != nil {
			s.end(err)
			return
		}
	}
}

func (s *Stream) do(todo uint32) (done bool, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = s.lot.panicked(reason)
		}
	}()
	ctx := s.request.Context()
	switch {
	case todo&gone != 0:
		return true, ctx.Err()
	case todo&expired != 0:
		return true, context.DeadlineExceeded
	case todo&old != 0:
		return true, s.live.Drain(ctx, between(0, maxReconnect))
	}
	if todo&news != 0 {
		next, err := s.live.Follow(ctx)
		if err != nil || next == Done {
			return true, err
		}
		if next == More {
			// Between two rounds there is room for whatever else is due.
			s.state.Or(news)
		}
	}
	if todo&beat != 0 {
		if err := s.live.Heartbeat(ctx); err != nil {
			return true, err
		}
		s.lot.place(s)
	}
	return false, nil
}

// end is the last that happens to a stream.
func (s *Stream) end(err error) {
	defer close(s.over)
	defer s.lot.leave(s)
	if s.restore != nil {
		defer s.restore()
	}
	defer func() {
		if reason := recover(); reason != nil {
			s.err = s.lot.panicked(reason)
		}
	}()
	err = s.live.Over(err)
	for _, tell := range s.finish {
		err = tell(err)
	}
	s.err = err
	if s.out != nil && s.request.Context().Err() == nil {
		s.writeEnd(err)
	}
}
