// Package fault is a reverse proxy that breaks on command, for tests of clients:
// it stands between a client and a gateway and cuts, truncates, stalls or
// refuses calls as a test says, and tells the test what it saw.
//
// It owns the rules, the record of the calls, and the two listeners: one for the
// calls (HTTP/1.1 and HTTP/2 on one port) and one for the test. Both listen on
// loopback only. It knows the framing of Connect, gRPC and gRPC-Web, but nothing
// of the gateway's messages, and must not import server.
//
//	client ──► wire ──► exchange ──► pump ──► gateway
//	             ▲          ▲ │ orders, record
//	           line     control + book ◄── the test
//
// A call is a request whose path ends in /package.Service/Method. Everything
// else, such as a hosted page or the OPTIONS request of a browser, is passed on
// without a fault and is not recorded.
package fault

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Kind is a way to break a call.
type Kind string

const (
	// Cut resets the connection on HTTP/1.1 and the call's stream on HTTP/2.
	Cut Kind = "cut"
	// Truncate ends the response's body as HTTP wants it, but without the end of
	// stream that the call's protocol wants.
	Truncate Kind = "truncate"
	// End ends the stream as a success, whatever was sent before.
	End Kind = "end"
	// Stall passes nothing on any more. The connection and the call to the
	// gateway stay open.
	Stall Kind = "stall"
	// HalfOpen makes the client's whole connection go silent, as behind a router
	// that lost its state: nothing is answered, pings neither, and no end comes.
	// The calls to the gateway are dropped. The proxy still sees the client leave.
	HalfOpen Kind = "half_open"
	// Buffer passes nothing on, the header neither, until the gateway has ended
	// the response.
	Buffer Kind = "buffer"
	// Refuse resets the connection as soon as the request is there.
	Refuse Kind = "refuse"
	// Status answers as an intermediary does: a status and a page.
	Status Kind = "status"
	// Error answers with an error of the call's own protocol.
	Error Kind = "error"
)

func kinds() []Kind {
	return []Kind{Cut, Truncate, End, Stall, HalfOpen, Buffer, Refuse, Status, Error}
}

// sudden are the faults that can hit a call that is already open.
func sudden() []Kind { return []Kind{Cut, Truncate, End, Stall, HalfOpen} }

// Rule says which calls are broken, and how.
type Rule struct {
	// Procedure is the last segment of the call's path, such as WatchStatus; ""
	// means any.
	Procedure string `json:"procedure,omitempty"`
	// Fault is what happens to the call.
	Fault Kind `json:"fault"`
	// After is how many messages of a stream are passed on before. It counts for
	// nothing in a unary call.
	After int `json:"after,omitempty"`
	// Times is how many calls are hit; 0 means all until the rules are replaced.
	Times int `json:"times,omitempty"`
	// Status and Body are the answer of the fault "status".
	Status int    `json:"status,omitempty"`
	Body   string `json:"body,omitempty"`
	// Code and Message are the answer of the fault "error"; Code is spelled as in
	// the Connect protocol, such as "not_found".
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	// RetryAfter is how many seconds the client is asked to wait, for the faults
	// "status" and "error".
	RetryAfter string `json:"retry_after,omitempty"`
}

// check names the first field that makes no sense.
func (r Rule) check() error {
	switch {
	case !slices.Contains(kinds(), r.Fault):
		return fmt.Errorf("fault: %q is unknown; use one of %s", r.Fault, list(kinds()))
	case r.After < 0:
		return errors.New("after: must not be negative; 0 lets no message through")
	case r.Times < 0:
		return errors.New("times: must not be negative; 0 hits every call")
	case r.After > 0 && slices.Contains([]Kind{Refuse, Status, Error}, r.Fault):
		return fmt.Errorf("after: the fault %q comes before every message; leave it out", r.Fault)
	}
	return r.checkAnswer()
}

// checkAnswer checks the fields that belong to one fault only.
func (r Rule) checkAnswer() error {
	switch {
	case r.Fault != Status && (r.Status != 0 || r.Body != ""):
		return fmt.Errorf("status, body: belong to the fault %q only", Status)
	case r.Fault != Error && (r.Code != "" || r.Message != ""):
		return fmt.Errorf("code, message: belong to the fault %q only", Error)
	case r.Fault == Status && (r.Status < http.StatusOK || r.Status > maxStatus):
		return fmt.Errorf("status: must be from %d to %d, such as 503", http.StatusOK, maxStatus)
	case r.Fault == Error && !isCode(r.Code):
		return fmt.Errorf("code: %q is no code of the Connect protocol; use one such as \"not_found\"", r.Code)
	case r.RetryAfter == "":
		return nil
	case r.Fault != Status && r.Fault != Error:
		return fmt.Errorf("retry_after: belongs to the faults %q and %q only", Status, Error)
	}
	if _, err := strconv.ParseUint(r.RetryAfter, 10, 31); err != nil {
		return errors.New(`retry_after: must be a number of seconds such as "2"`)
	}
	return nil
}

// maxStatus is the last status that HTTP knows.
const maxStatus = 599

func checkSudden(k Kind) error {
	if !slices.Contains(sudden(), k) {
		return fmt.Errorf("fault: %q cannot hit an open call; use one of %s", k, list(sudden()))
	}
	return nil
}

func list(of []Kind) string {
	names := make([]string, 0, len(of))
	for _, k := range of {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}
