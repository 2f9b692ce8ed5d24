// Package park lets streams wait for hours and cost next to nothing meanwhile.
//
// A stream that has sent its first message has nothing to do but to wait. It
// needs no timer and no goroutine of its own for that. Its Lot has one wheel for
// all: the heartbeats, the ages and the drain. What happens to a stream is a bit
// that is raised (news, a beat, its end); the first bit starts a goroutine that
// does what there is to do and goes. There is never more than one of them for a
// stream, so a reader that does not read holds up nobody but itself.
//
//	hub, feed ── News ──┐
//	wheel ── beat, age ─┼─► raise ─► one short-lived goroutine ─► Follow, Heartbeat,
//	line gone ──────────┘                                          Drain, or the end
//
// Over HTTP a stream is also parked. All that lies between the socket and the
// handler (middleware, the RPC library, the request, its contexts) is needed to
// open it and never again, so it runs on a goroutine of its own and goes. What
// stays is the goroutine of net/http with the stack it was born with.
//
//	net/http ─► Handler ─ starts ─► middleware ─► connect ─► the rpc ─► Lot.Keep
//	              │                                                         │
//	              │ ◄──────────── all of them return ◄──────────────────────┘
//	              └─► waits for the end, or for the line to go; messages are
//	                  written by the short-lived goroutines meanwhile
//
// The frames of a message are the same five bytes in all three protocols. How a
// stream ends differs, so connect itself writes the end, over again: see ender.
// A stream without an http.ResponseWriter, and one that does not want to be
// parked, has its handler wait instead; nothing else differs.
//
// It owns no message and decides nothing about a verification; it imports no
// other room.
package park
