package fault

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// recordedRequest is how much of a request's body is kept.
const recordedRequest = 4 << 10

// Call is what is known about one call.
type Call struct {
	// Procedure is the last segment of its path.
	Procedure string `json:"procedure"`
	// HTTP is the version that the client speaks, such as "HTTP/2.0".
	HTTP string `json:"http"`
	// BeganMS and EndedMS are milliseconds since the proxy was started; EndedMS is
	// nil while the client's side is open.
	BeganMS int64  `json:"began_ms"`
	EndedMS *int64 `json:"ended_ms"`
	// Messages is how many messages of the response were passed on so far.
	Messages int `json:"messages"`
	// Request is the beginning of the request's body, at most 4 KB.
	Request []byte `json:"request"`
	// Authorization is the request's header of that name.
	Authorization string `json:"authorization"`
}

// String is a call as a failing test prints it: without the credential.
func (c Call) String() string {
	state := "open"
	if c.EndedMS != nil {
		state = fmt.Sprintf("ended at %d ms", *c.EndedMS)
	}
	return fmt.Sprintf("%s over %s, begun at %d ms, %d messages, %s", c.Procedure, c.HTTP, c.BeganMS, c.Messages, state)
}

// Calls is what is known about several calls, the oldest first.
type Calls struct {
	// Begun counts all that are listed, Open those whose client's side is open.
	Begun int    `json:"begun"`
	Open  int    `json:"open"`
	Calls []Call `json:"calls"`
}

// Condition is what to wait for. All that is set must hold at the same time.
type Condition struct {
	// Procedure chooses the calls; "" chooses all.
	Procedure string
	// Begun is the least number of calls that were begun.
	Begun int
	// Open is the exact number of open calls; nil means any.
	Open *int
	// Messages is the least number of messages that the newest call was passed.
	Messages int
}

// holds tells whether the calls are what is waited for.
func (c Condition) holds(calls Calls) bool {
	messages := 0
	if len(calls.Calls) > 0 {
		messages = calls.Calls[len(calls.Calls)-1].Messages
	}
	return calls.Begun >= c.Begun && messages >= c.Messages && (c.Open == nil || *c.Open == calls.Open)
}

// order is a fault for an open call; applied is closed once it is in effect.
type order struct {
	fault   Kind
	applied chan struct{}
}

// call is one call on its way. The book's lock guards its record.
type call struct {
	record Call
	orders chan order
	ended  chan struct{}
}

// appliedRule is a rule and how many calls it has hit.
type appliedRule struct {
	Rule

	used int
}

// book holds the rules and the record of the calls.
type book struct {
	since time.Time

	mu    sync.Mutex
	rules []*appliedRule
	calls []*call
	// changed is closed, and replaced, with each change of the record.
	changed chan struct{}
}

func newBook() *book { return &book{since: time.Now(), changed: make(chan struct{})} }

// set replaces all rules.
func (b *book) set(rules []Rule) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rules = nil
	for _, r := range rules {
		b.rules = append(b.rules, &appliedRule{Rule: r})
	}
}

// begin records a call and returns the rule that hits it, if there is one.
func (b *book) begin(procedure string, r *http.Request, request []byte) (*call, *Rule) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := &call{
		record: Call{
			Procedure: procedure, HTTP: r.Proto, BeganMS: b.elapsed(),
			Request: request[:min(len(request), recordedRequest)], Authorization: r.Header.Get("Authorization"),
		},
		orders: make(chan order), ended: make(chan struct{}),
	}
	b.calls = append(b.calls, c)
	b.note()
	for _, rule := range b.rules {
		if (rule.Procedure == "" || rule.Procedure == procedure) && (rule.Times == 0 || rule.used < rule.Times) {
			rule.used++
			return c, &rule.Rule
		}
	}
	return c, nil
}

// passed counts one more message.
func (b *book) passed(c *call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c.record.Messages++
	b.note()
}

// end records that the client's side of a call is over.
func (b *book) end(c *call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.elapsed()
	c.record.EndedMS = &at
	close(c.ended)
	b.note()
}

// open returns the open calls of a procedure.
func (b *book) open(procedure string) []*call {
	b.mu.Lock()
	defer b.mu.Unlock()
	var open []*call
	for _, c := range b.calls {
		if c.record.EndedMS == nil && (procedure == "" || procedure == c.record.Procedure) {
			open = append(open, c)
		}
	}
	return open
}

// forget drops the calls that ended.
func (b *book) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	var open []*call
	for _, c := range b.calls {
		if c.record.EndedMS == nil {
			open = append(open, c)
		}
	}
	b.calls = open
	b.note()
}

// wait returns the calls as soon as a condition holds, and whether it did before
// ctx ended.
func (b *book) wait(ctx context.Context, until Condition) (Calls, bool) {
	for {
		calls, changed := b.list(until.Procedure)
		if until.holds(calls) {
			return calls, true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return calls, false
		}
	}
}

func (b *book) list(procedure string) (Calls, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	found := Calls{Calls: []Call{}}
	for _, c := range b.calls {
		if procedure != "" && procedure != c.record.Procedure {
			continue
		}
		found.Begun++
		if c.record.EndedMS == nil {
			found.Open++
		}
		found.Calls = append(found.Calls, c.record)
	}
	return found, b.changed
}

// note tells everybody who waits to look again.
func (b *book) note() {
	close(b.changed)
	b.changed = make(chan struct{})
}

func (b *book) elapsed() int64 { return time.Since(b.since).Milliseconds() }
