package verigate

import (
	"errors"
	"time"
)

const (
	// defaultHeartbeat is the gateway's own default of watch.heartbeat.
	defaultHeartbeat = 15 * time.Second
	// missedHeartbeats is how many make a line dead: the gateway spreads them by
	// 20 %, so that one is often late and two in a row never are.
	missedHeartbeats = 3
	// longestOpening bounds the wait for a stream's first message, which the
	// gateway sends at once.
	longestOpening = 10 * time.Second
)

// Option changes how a verification or events are followed.
type Option func(*settings)

// settings are the options, with their defaults.
type settings struct {
	heartbeat    time.Duration
	everyMessage bool
	streamsOnly  bool
	onLine       func(Line)
	clock        Clock
}

func newSettings(options []Option) (settings, error) {
	s := settings{heartbeat: defaultHeartbeat, onLine: func(Line) {}, clock: systemClock{}}
	for _, choose := range options {
		choose(&s)
	}
	switch {
	case s.heartbeat <= 0:
		return s, errors.New("verigate: Heartbeat must be positive: set it to the gateway's watch.heartbeat, or leave it out for 15 s")
	case s.onLine == nil:
		return s, errors.New("verigate: OnLine needs a function: leave it out if nobody wants to know")
	case s.clock == nil:
		return s, errors.New("verigate: WithClock needs a clock: leave it out for the system's")
	}
	return s, nil
}

// silence is how long a stream may say nothing.
func (s settings) silence() time.Duration { return missedHeartbeats * s.heartbeat }

// opening is how long a stream may take until its first message.
func (s settings) opening() time.Duration { return min(longestOpening, s.silence()) }

// Heartbeat says how often the gateway sends a heartbeat, its watch.heartbeat;
// 15 s unless set. A stream that says nothing for three of them is dead.
func Heartbeat(every time.Duration) Option { return func(s *settings) { s.heartbeat = every } }

// EveryMessage yields the messages as they come: heartbeats, drains and
// repetitions too.
func EveryMessage() Option { return func(s *settings) { s.everyMessage = true } }

// StreamsOnly never polls, however often streams fail.
func StreamsOnly() Option { return func(s *settings) { s.streamsOnly = true } }

// OnLine tells how the line to the gateway is, for a status display or a log. The
// function is called in the loop's own goroutine and should return at once.
func OnLine(tell func(Line)) Option { return func(s *settings) { s.onLine = tell } }

// Line is how the line to the gateway is.
type Line struct {
	// State is what is going on.
	State LineState
	// RetryIn is how long it waits; only when the state is Waiting.
	RetryIn time.Duration
	// Reason is why it waits; nil when the gateway ended the stream in order.
	Reason error
}

// LineState is what is going on with a line.
type LineState string

const (
	// Connecting means that a stream was asked for.
	Connecting LineState = "connecting"
	// Live means that a message came over the stream that is open.
	Live LineState = "live"
	// Polling means that streams keep failing, so that GetVerification is asked.
	Polling LineState = "polling"
	// Waiting means that the next attempt is made after a pause.
	Waiting LineState = "waiting"
	// Ended means that nothing is followed any more.
	Ended LineState = "ended"
)
