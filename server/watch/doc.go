// Package watch knows who is waiting for which verification, and tells them.
//
// The Hub is fed twice. The process that committed a change hands over the new
// state itself, and its watchers are told without a read. Of what other nodes
// did a Hub gets hints: at once over the bus, and once or twice a second from
// the Tail, which reads the transition log. A hint says that a version exists.
// If somebody here watches and has an older one, the verification is read again,
// together with all others that were hinted at: one query for up to a thousand
// of them. The price follows the number of changes, not of watchers.
//
//	commit on this node ─────────► Hub.Wake ──────────────────────┐
//	commit on another ─► bus ────► Hub.Hint ─► list ─► Hub.Run ───┴─► Watcher ─► its stream
//	                  └► log ─► Tail ─┘          one query for all
//	a gap in either ─────────────► Hub.HintAll
//
// A Watcher holds the newest state that it was not asked for yet, and no queue:
// a slow reader skips to the newest and blocks nobody. Register first, then read
// the row, then follow: that order misses nothing.
//
// The Feed does the same for event streams: they follow the order of all events,
// whose length it asks for.
//
//	event_head ─► Feed ─► Subscription ─► its stream reads on from its cursor
//
// It imports verification only, never store, rpc or webhook.
package watch
