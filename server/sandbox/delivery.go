package sandbox

import (
	"context"
	"net/http"
	"time"
)

// Retry is how a sandbox repeats a webhook that was not answered with 2xx. The
// providers document that they retry, and VerifyHuman's webhooks page the 10
// seconds for an answer; count and spacing are our invention.
type Retry struct {
	// Attempts is the most that are made, the first included; 0 means 5.
	Attempts int
	// Base is the pause before the second attempt, doubled for each further
	// one; 0 means 1 s.
	Base time.Duration
	// Timeout is how long one attempt may take; 0 means 10 s.
	Timeout time.Duration
}

const (
	defaultAttempts = 5
	defaultBase     = time.Second
	defaultTimeout  = 10 * time.Second
)

func (r Retry) withDefaults() Retry {
	if r.Attempts == 0 {
		r.Attempts = defaultAttempts
	}
	if r.Base == 0 {
		r.Base = defaultBase
	}
	if r.Timeout == 0 {
		r.Timeout = defaultTimeout
	}
	return r
}

// backoff is the pause before an attempt.
func (r Retry) backoff(attempt int) time.Duration {
	if attempt == 1 {
		return 0
	}
	const secondAttempt = 2
	return r.Base << (attempt - secondAttempt)
}

// Delivery is the outcome of one attempt at sending one webhook.
type Delivery struct {
	// Event is the type that the webhook names; empty for AiPrise's final
	// result, which names none.
	Event string
	// EventID is the same for every copy and attempt.
	EventID string
	// DeliveryID is new for every attempt; empty if Dropped.
	DeliveryID string
	// VerificationID is the provider's id of the run; empty for a ping.
	VerificationID string
	// Channel is AiPrise's, ChannelCallback or ChannelEvents; empty for
	// VerifyHuman, which has one only.
	Channel Channel
	// Copy is 0 for the original and counts the duplicates from 1.
	Copy int
	// Attempt counts from 1; 0 if Dropped.
	Attempt int
	// StatusCode is the receiver's answer; 0 if there was none.
	StatusCode int
	// Err is why there was no answer.
	Err error
	// Dropped: the fault lost it; nothing was sent.
	Dropped bool
	// Final: no further attempt follows, because it was taken, lost or given up.
	Final bool
}

// OK reports whether the receiver took it.
func (d Delivery) OK() bool {
	return d.StatusCode >= http.StatusOK && d.StatusCode < http.StatusMultipleChoices
}

// Wait pauses for d and returns nil, or the context's error when it ends first.
type Wait func(ctx context.Context, d time.Duration) error

func timerWait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// message is one event to be sent.
type message struct {
	url            string
	channel        Channel
	event          string
	eventID        string
	verificationID string
	// bodies are what is sent: the original first, then its copies. Each is
	// sent on its own, and its attempts repeat the same bytes.
	bodies [][]byte
	// headers makes the headers of one attempt at sending a body.
	headers func(deliveryID string, body []byte) http.Header
	delay   time.Duration
	hold    bool
	drop    bool
}

// Channel is one of the two ways that AiPrise reports on.
type Channel string

// The channels, as AiPrise's callbacks page tells them apart.
const (
	// ChannelCallback is callback_url: one final result when the workflow ends.
	ChannelCallback Channel = "callback"
	// ChannelEvents is events_callback_url: what happens on the way, and what
	// reviewers do afterwards.
	ChannelEvents Channel = "events"
)
