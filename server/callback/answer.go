package callback

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/verigate/verigate/server/outgoing"
	"github.com/verigate/verigate/server/verification"
)

const (
	// window is for how long a callback is tried.
	window = 3 * 24 * time.Hour
	// firstWait is how long after the first failure it is tried again; each
	// further wait is longer by the factor, up to the last.
	firstWait  = 5 * time.Second
	waitFactor = 3
	lastWait   = 6 * time.Hour
	// jitter spreads the waits by a fifth to both sides.
	jitter = 0.2
	// longestAsked is how long a receiver may ask to be left alone.
	longestAsked = 24 * time.Hour
	// answerRead is how much of an answer is read, so that its connection can be
	// used again. Nothing of it is kept.
	answerRead = 64 << 10
)

// answer is how an attempt went.
type answer struct {
	// status is the receiver's HTTP status; 0 if it gave none.
	status int
	reason verification.CallbackReason
	// asked is for how long the receiver wants to be left alone.
	asked time.Duration
}

func (w *Worker) post(ctx context.Context, url string, m *message) answer {
	ctx, cancel := context.WithTimeout(ctx, w.AttemptTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(m.body))
	if err != nil {
		return answer{reason: verification.CallbackAddressRefused}
	}
	request.Header = m.header
	response, err := w.client.Do(request)
	if err != nil {
		return answer{reason: reasonOf(err)}
	}
	defer func() { _ = response.Body.Close() }()
	// Its status is the receiver's answer, whatever becomes of the rest.
	_, _ = io.CopyN(io.Discard, response.Body, answerRead)
	got := answer{status: response.StatusCode}
	switch {
	case got.ok():
	case got.status == http.StatusGone:
		got.reason = verification.CallbackGone
	default:
		got.reason = verification.CallbackStatus
		got.asked = askedFor(response.Header.Get("Retry-After"), w.Now())
	}
	return got
}

// reasonOf says why there was no answer. The error itself holds the address.
func reasonOf(err error) verification.CallbackReason {
	if errors.Is(err, outgoing.ErrForbiddenAddress) || errors.Is(err, outgoing.ErrForbiddenURL) {
		return verification.CallbackAddressRefused
	}
	timeout, ok := errors.AsType[net.Error](err)
	if errors.Is(err, context.DeadlineExceeded) || ok && timeout.Timeout() {
		return verification.CallbackTimeout
	}
	return verification.CallbackConnection
}

// askedFor reads Retry-After, which is seconds or a date (RFC 9110, section
// 10.2.3).
func askedFor(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 32); err == nil {
		return min(longestAsked, time.Duration(seconds)*time.Second)
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(longestAsked, max(0, at.Sub(now)))
	}
	return 0
}

func (a answer) ok() bool {
	return a.status >= http.StatusOK && a.status < http.StatusMultipleChoices
}

// name is what the attempt is counted as.
func (a answer) name() string {
	if a.ok() {
		return string(verification.CallbackDelivered)
	}
	return string(a.reason)
}

var errFailing = errors.New("the receiver fails")

// verdict is what an answer says of its receiver: nil if it works, although it
// may not like the message.
func (a answer) verdict() error {
	silent := a.reason == verification.CallbackTimeout || a.reason == verification.CallbackConnection
	switch {
	case a.reason == verification.CallbackAddressRefused:
		return errNoVerdict
	case silent, a.status >= http.StatusInternalServerError, a.status == http.StatusTooManyRequests:
		return errFailing
	default:
		return nil
	}
}

// after returns what a callback is after its attempt number try ended.
func (a answer) after(c verification.Callback, try int, now time.Time, random float64) verification.Callback {
	end := c.FirstTime.Add(window)
	c.State, c.Reason, c.NextTime, c.FinishTime = verification.CallbackDead, a.reason, time.Time{}, now
	switch {
	case a.ok():
		c.State = verification.CallbackDelivered
	case a.reason == verification.CallbackGone:
	case !now.Before(end):
		c.Reason = verification.CallbackExpired
	default:
		c.State, c.FinishTime = verification.CallbackPending, time.Time{}
		c.NextTime = now.Add(max(wait(try, random), a.asked))
		if c.NextTime.After(end) {
			c.NextTime = end
		}
	}
	return c
}

// wait is how long after attempt number try the next one is made.
func wait(try int, random float64) time.Duration {
	planned := firstWait
	for i := 1; i < try && planned < lastWait; i++ {
		planned *= waitFactor
	}
	return scale(min(planned, lastWait), random)
}

// scale spreads a time by jitter.
func scale(d time.Duration, random float64) time.Duration {
	return time.Duration(float64(d) * (1 + jitter*(random+random-1)))
}
