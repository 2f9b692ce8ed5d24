package park

import (
	"hash/fnv"
	"time"
)

// rhythm says when the streams of one line beat: all of them together, so that
// their heartbeats leave in one packet, and each line at times of its own, so that
// thousands of lines do not beat together.
//
// A line has a beat of its own every fifth of the heartbeat's mean time, and a
// stream takes every fourth, fifth or sixth of them, at random: its heartbeats are
// up to a fifth early or late. Streams that beat together go on together.
type rhythm uint64

// parts are in one mean time.
const parts = 5

// rhythmOf is the rhythm of a line, by the address of its other end.
func rhythmOf(address string) rhythm {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(address))
	return rhythm(hash.Sum64())
}

// next returns when a stream beats that has beaten now. The first time after its
// beginning it is about the mean time.
func (r rhythm) next(now, mean time.Duration, first bool) time.Duration {
	part := max(int64(mean/parts), 1)
	phase := int64(uint64(r) % uint64(part))
	// The nearest beat of the line is the one that was meant.
	at := (int64(now) - phase + part/2) / part
	steps := int64(parts)
	if !first {
		const some, mix = 3, 0x9e3779b97f4a7c15 // odd, from the golden ratio
		steps += int64((uint64(r)^uint64(at))*mix>>32%some) - 1
	}
	return time.Duration(phase + (at+steps)*part)
}
