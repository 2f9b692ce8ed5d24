package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	// maxPending bounds the webhooks that wait, copies included.
	maxPending = 1024
	// maxInFlight bounds the requests under way.
	maxInFlight = 8
	// maxHold is how long a reordered webhook waits for the next one.
	maxHold = 5 * time.Second
	// maxAnswer is how much of a receiver's answer is read, in bytes, so that
	// its connection can be used again.
	maxAnswer = 64 << 10
)

var (
	errClosed = errors.New("the sandbox is closed")
	errFull   = errors.New("too many webhooks are waiting; try again when some were delivered")
)

// item is one copy of a message on its way.
type item struct {
	message

	// seq orders events by when they were handed over; copies share it.
	seq  int
	copy int
	body []byte
}

// delivery says what every report about the item says.
func (it item) delivery() Delivery {
	return Delivery{
		Channel: it.channel, Event: it.event, EventID: it.eventID, VerificationID: it.verificationID, Copy: it.copy,
	}
}

// sender delivers messages, each in a goroutine of its own that run owns.
type sender struct {
	client *http.Client
	retry  Retry
	wait   Wait
	log    *slog.Logger
	report func(Delivery)

	queue  chan item
	slots  chan struct{}
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	closed  bool
	pending int
	lastSeq int
	// held maps a held event's seq to what lets its copies go.
	held map[int][]context.CancelFunc
}

// start fills in the defaults and begins to deliver. close ends it.
func (s *sender) start() {
	s.retry = s.retry.withDefaults()
	ctx, cancel := context.WithCancel(context.Background())
	s.queue = make(chan item, maxPending)
	s.slots = make(chan struct{}, maxInFlight)
	s.cancel = cancel
	s.done = make(chan struct{})
	s.held = make(map[int][]context.CancelFunc)
	go s.run(ctx)
}

// send hands messages over, all or none, and never blocks. It returns errFull
// or errClosed when they were not taken.
func (s *sender) send(messages ...message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	count := 0
	for _, m := range messages {
		count += len(m.bodies)
	}
	if s.pending+count > maxPending {
		return errFull
	}
	for _, m := range messages {
		s.lastSeq++
		for i, body := range m.bodies {
			s.pending++
			s.queue <- item{message: m, seq: s.lastSeq, copy: i, body: body}
		}
	}
	return nil
}

// close stops all deliveries, waits for their goroutines, and can be repeated.
// It returns the context's error when that ends first.
func (s *sender) close(ctx context.Context) error {
	s.mu.Lock()
	if !s.closed && s.pending > 0 {
		s.log.WarnContext(ctx, "sandbox: closing with webhooks unsent", slog.Int("count", s.pending))
	}
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for webhooks under way: %w", ctx.Err())
	}
}

func (s *sender) run(ctx context.Context) {
	defer close(s.done)
	var deliveries sync.WaitGroup
	defer deliveries.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case it := <-s.queue:
			// The hold is in place before any later event can be on its way.
			next, release := context.WithCancel(ctx)
			if it.hold {
				s.holdBack(it.seq, release)
			}
			deliveries.Go(func() {
				defer s.settled()
				defer release()
				s.deliver(ctx, next, it)
			})
		}
	}
}

func (s *sender) holdBack(seq int, release context.CancelFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[seq] = append(s.held[seq], release)
}

// sent lets go what was held for an event as late as this one.
func (s *sender) sent(seq int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for earlier, releases := range s.held {
		if earlier >= seq {
			continue
		}
		for _, release := range releases {
			release()
		}
		delete(s.held, earlier)
	}
}

func (s *sender) settled() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending--
}

// deliver sends one copy until it is taken or the attempts are used up. next
// ends when a later event was sent.
func (s *sender) deliver(ctx, next context.Context, it item) {
	if s.pause(ctx, it.delay) != nil {
		return
	}
	if it.hold && s.wait(next, maxHold) != nil && ctx.Err() != nil {
		return
	}
	if it.drop {
		d := it.delivery()
		d.Dropped, d.Final = true, true
		s.report(d)
		return
	}
	for attempt := 1; ; attempt++ {
		if s.pause(ctx, s.retry.backoff(attempt)) != nil {
			return
		}
		final, err := s.attempt(ctx, it, attempt)
		if final || err != nil {
			return
		}
	}
}

// pause waits for d, which may be zero.
func (s *sender) pause(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil || d <= 0 {
		return err
	}
	return s.wait(ctx, d)
}

// attempt sends one request and reports whether it was the last. Its error
// means that the sender stopped before.
func (s *sender) attempt(ctx context.Context, it item, attempt int) (bool, error) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	d := it.delivery()
	d.DeliveryID, d.Attempt = uuid.NewString(), attempt
	d.StatusCode, d.Err = s.post(ctx, it, d.DeliveryID)
	d.Final = d.OK() || attempt == s.retry.Attempts
	s.note(d)
	s.sent(it.seq)
	s.report(d)
	return d.Final, nil
}

func (s *sender) note(d Delivery) {
	attrs := []any{slog.String("event", d.Event), slog.Int("attempt", d.Attempt), slog.Int("status", d.StatusCode)}
	switch {
	case d.OK():
		s.log.Info("sandbox: webhook delivered", attrs...)
	case d.Final:
		s.log.Warn("sandbox: webhook given up", attrs...)
	default:
		s.log.Info("sandbox: webhook not taken; it is tried again", attrs...)
	}
}

func (s *sender) post(ctx context.Context, it item, deliveryID string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, s.retry.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, it.url, bytes.NewReader(it.body))
	if err != nil {
		return 0, fmt.Errorf("make the webhook request: %w", err)
	}
	request.Header = it.headers(deliveryID, it.body)
	response, err := s.client.Do(request)
	if err != nil {
		return 0, withoutURL(err)
	}
	defer func() { _ = response.Body.Close() }()
	// What the receiver says is of no interest and a broken answer no failure.
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer))
	return response.StatusCode, nil
}

// withoutURL strips the webhook's URL, which may hold a credential.
func withoutURL(err error) error {
	if inURL, ok := errors.AsType[*url.Error](err); ok {
		return inURL.Err
	}
	return err
}
