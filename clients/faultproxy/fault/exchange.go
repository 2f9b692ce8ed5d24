package fault

import (
	"context"
	"net/http"
)

// exchange is one call between the client and the gateway.
type exchange struct {
	proxy *Proxy
	// call is nil when nobody records this exchange.
	call *call
	// rule is what is still to happen; nil for nothing.
	rule *Rule
	line *line
	w    http.ResponseWriter
	r    *http.Request

	// parts come from the gateway; nil when nothing is passed on any more.
	parts <-chan part
	// drop ends the call to the gateway.
	drop context.CancelFunc
	// frames is how the answer is framed, headed that its header was passed on.
	frames framing
	headed bool
	// answer is the gateway's, once it came; its trailers come last.
	answer *http.Response
	// quiet: the fault HalfOpen is in effect.
	quiet bool
	// passed counts the messages of a stream.
	passed int
	// held is the fault Buffer; kept is what it keeps.
	held bool
	kept []part
}

// run passes the call on until it is over for the client.
func (x *exchange) run(request []byte) {
	if x.answered() {
		return
	}
	ctx, drop := context.WithCancel(x.r.Context())
	parts := make(chan part)
	go x.proxy.pump(ctx, x.r, request, parts)
	defer func() {
		drop()
		for range parts { // the pump ends with it
		}
	}()
	x.parts, x.drop = parts, drop
	x.frames = framingOf(x.r.Header.Get("Content-Type"))
	if x.rule != nil && x.rule.Fault == Buffer && x.rule.After == 0 {
		x.held, x.rule = true, nil
	}
	for over := false; !over; {
		over = x.step()
	}
}

// answered tells that a fault came before the gateway was called.
func (x *exchange) answered() bool {
	if x.rule == nil {
		return false
	}
	var err error
	switch x.rule.Fault {
	case Refuse:
		x.line.reset()
		panic(http.ErrAbortHandler)
	case Status:
		err = x.rule.writeStatus(x.w)
	case Error:
		err = x.rule.writeError(x.w, x.r)
	default:
		return false
	}
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return true
}

// step waits for the next thing to happen and tells whether it was the last.
func (x *exchange) step() bool {
	var orders chan order
	if x.call != nil {
		orders = x.call.orders
	}
	silenced := x.line.silenced
	if x.quiet {
		silenced = nil
	}
	select {
	case one, ok := <-x.parts:
		if !ok {
			// The pump only stops without a last word when the client has gone.
			<-x.r.Context().Done()
			return true
		}
		return x.take(one)
	case o := <-orders:
		return x.obey(o)
	case <-silenced:
		return x.hit(HalfOpen)
	case <-x.r.Context().Done():
		return true
	}
}

// obey lets an order hit, and says so once it is in effect.
func (x *exchange) obey(o order) bool {
	defer close(o.applied)
	return x.hit(o.fault)
}

// take passes one part on, or keeps it.
func (x *exchange) take(one part) bool {
	switch {
	case one.err != nil && !x.headed && !x.held:
		x.badGateway()
		return true
	case one.err != nil:
		return x.hit(Cut)
	case x.held && !one.end:
		x.kept = append(x.kept, one)
		return false
	case x.held:
		for _, kept := range x.kept {
			x.pass(kept)
		}
	}
	x.pass(one)
	return one.end || x.due()
}

// badGateway answers as proxies do when nobody is behind them.
func (x *exchange) badGateway() {
	page := Rule{Status: http.StatusBadGateway, Body: "<html><body><h1>502 Bad Gateway</h1></body></html>"}
	if page.writeStatus(x.w) != nil {
		panic(http.ErrAbortHandler)
	}
}

// due lets the rule hit once its time has come.
func (x *exchange) due() bool {
	if x.rule == nil || (x.frames != unframed && x.passed < x.rule.After) {
		return false
	}
	fault := x.rule.Fault
	x.rule = nil
	return x.hit(fault)
}

// hit breaks the exchange and tells whether it is over for the client.
func (x *exchange) hit(fault Kind) bool {
	switch fault {
	case Cut:
		if x.r.ProtoMajor == 1 {
			x.line.reset()
		}
		panic(http.ErrAbortHandler)
	case Truncate:
		x.head(nil)
		return true
	case End:
		x.head(nil)
		if x.frames.writeEnd(x.w) != nil {
			panic(http.ErrAbortHandler)
		}
		return true
	case HalfOpen:
		x.settle()
		x.line.silence()
		x.drop()
		x.parts, x.quiet = nil, true
	case Stall:
		x.parts = nil
	case Buffer:
		x.held = true
	case Refuse, Status, Error: // they came before the call, in answered
	}
	return false
}

// settle makes sure that the messages that were passed on have left before the
// line falls silent. On HTTP/2 the server answers a handler's flush before it
// writes to the connection, but it takes the next write only after that: a byte
// of a message that never comes, which a client cannot tell from none.
func (x *exchange) settle() {
	if x.r.ProtoMajor == 1 || x.frames == unframed || x.passed == 0 || x.line.isSilent() {
		return
	}
	if _, err := x.w.Write([]byte{0}); err != nil {
		panic(http.ErrAbortHandler)
	}
	x.flush()
}

// pass writes one part to the client, at once.
func (x *exchange) pass(one part) {
	switch {
	case one.head != nil:
		x.head(one.head)
	case one.end:
		x.finish()
	default:
		if _, err := x.w.Write(one.data); err != nil {
			panic(http.ErrAbortHandler)
		}
		x.flush()
		if one.message {
			x.count()
		}
	}
}

// head writes the header of the answer, unless it was written: the gateway's, or
// that of an empty success where the gateway has not answered yet.
func (x *exchange) head(answer *http.Response) {
	if x.headed {
		return
	}
	x.headed = true
	status := http.StatusOK
	if answer == nil {
		x.w.Header().Set("Content-Type", x.r.Header.Get("Content-Type"))
	} else {
		status = answer.StatusCode
		copyHeader(x.w.Header(), answer.Header)
		x.frames = framingOf(answer.Header.Get("Content-Type"))
		x.answer = answer
	}
	x.w.WriteHeader(status)
	x.flush()
}

// finish ends the answer as the gateway did.
func (x *exchange) finish() {
	if x.frames == unframed {
		x.count()
	}
	if x.answer != nil {
		for name, values := range x.answer.Trailer {
			x.w.Header()[http.TrailerPrefix+name] = values
		}
	}
}

func (x *exchange) flush() {
	if http.NewResponseController(x.w).Flush() != nil {
		panic(http.ErrAbortHandler)
	}
}

func (x *exchange) count() {
	x.passed++
	if x.call != nil {
		x.proxy.book.passed(x.call)
	}
}
