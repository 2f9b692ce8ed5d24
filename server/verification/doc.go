// Package verification is the domain: what a verification is, which moves its
// state may make, and the steps that make them.
//
// It owns the state machine (machine.go), the correlation ladder (ladder.go)
// and the Service that every entrance calls: rpc for callers, webhook for
// providers, returnleg for people, the sweeps for the clock. It imports no
// database, no transport and no generated code; what it needs from outside are
// the small interfaces Store, Tx, Catalog and Provider.
//
// Both flows stand on one row and one function:
//
//	caller ── Start ──► row (created) ──commit──► Provider.Start ──► row (pending)
//	                                              no transaction open
//	provider ── Deliver ─► keep delivery ─► ladder ─► lock row ─┐
//	person ──── Return ────────────────────────────► lock row ─┼─► move ─► transition ─commit─► Waker
//	clock ───── Sweep ─────────────────────────────► lock row ─┤
//	caller ──── Cancel ────────────────────────────► lock row ─┤
//	operator ── Bind, Replay ─► lock delivery ─────► lock row ─┤
//	operator ── Override, with an audit entry ─────► lock row ─┘
//
// move (move.go) is the only place where a state changes. The transition that
// it records is the outbox: whoever wants to know what happened reads it after
// the commit. A Waker is told as well, with the state as it was committed, so that
// watchers on this node hear of it without a read.
package verification
