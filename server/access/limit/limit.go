// Package limit says how often something may happen: one token bucket per key,
// any number of keys, bounded memory. It owns the buckets and nothing else: it
// knows neither what a key stands for nor what a refusal looks like to a caller.
// It must not import anything of this project.
//
//	Allow(key, rate) ─▶ keyed hash ─▶ bucket there? ─▶ adopt the rate ─▶ take one
//	                                   │ no: drop a few full ones, make one,
//	                                   └ or share one if there is no room
package limit

import (
	"hash/maphash"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// maxBuckets bounds the memory, at about 150 bytes each.
	maxBuckets = 100_000
	// examined is how many buckets a new key looks at for one to drop. More than
	// one, so that dropping outpaces growth.
	examined = 4
	// examinedAtCap is the same where there is no room left.
	examinedAtCap = 16
	// mistaken is the retry hint of a rate that can never allow anything.
	mistaken = time.Hour
)

// Rate allows Count events per Per, with bursts of up to Count. The zero Rate
// allows everything. Any other without a positive Count and Per is a mistake
// and allows nothing.
type Rate struct {
	// Count is how many events.
	Count int
	// Per is in how much time.
	Per time.Duration
}

// Limiter keeps one bucket per key. It is safe for concurrent use, and its
// memory is bounded.
//
// Whoever can make up keys can fill a Limiter and so make others share. Give
// each of those who must not suffer from one another a Limiter of its own.
//
// Keys may be personal data, as subjects and addresses are, or long. What stays
// in memory is a 64-bit hash under a random seed of this Limiter: a memory dump
// shows no key, though with the seed beside it a guess can be tested, and
// nobody can choose keys that fall together. Two keys that do by chance share a
// bucket, with odds of less than one in a billion when it is full.
type Limiter struct {
	now  func() time.Time
	max  int
	seed maphash.Seed

	mu      sync.Mutex
	buckets map[uint64]*bucket
	// ring holds the same buckets; hand goes round it in search of full ones.
	ring []*bucket
	hand int
}

type bucket struct {
	limiter *rate.Limiter
	rate    Rate
	hash    uint64
}

// New returns an empty Limiter for up to 100,000 keys. Now must not run
// backwards; time.Now does not, because it carries a monotonic reading.
func New(now func() time.Time) *Limiter { return newLimiter(now, maxBuckets) }

func newLimiter(now func() time.Time, most int) *Limiter {
	return &Limiter{now: now, max: most, seed: maphash.MakeSeed(), buckets: make(map[uint64]*bucket)}
}

// Allow takes one from the key's bucket; when it is empty it reports how long
// until the next one is there. Refused events cost nothing.
//
// A key that is limited in two ways needs two keys, so callers begin a key with
// what is limited. A bucket adopts a changed rate and keeps what is in it, or
// as much as fits: nobody gets a fresh burst from it. A new key's bucket is
// full. When there is no room for it, new keys of the same rate share one bucket
// until others are full again and can be dropped; keys that have one keep it.
func (l *Limiter) Allow(key string, r Rate) (ok bool, retry time.Duration) {
	switch {
	case r == Rate{}:
		return true, 0
	case r.Count <= 0 || r.Per <= 0:
		return false, mistaken
	}
	hash := maphash.String(l.seed, key)
	l.mu.Lock()
	defer l.mu.Unlock()
	// Read under the lock, so that buckets see time in order.
	now := l.now()
	b := l.bucket(hash, r, now)
	b.adopt(r, now)
	if b.limiter.AllowN(now, 1) {
		return true, 0
	}
	missing := 1 - b.limiter.TokensAt(now)
	return false, time.Duration(math.Ceil(missing / float64(b.limiter.Limit()) * float64(time.Second)))
}

// Len returns how many buckets there are, for a gauge: at 100,000 new keys
// begin to share. Full ones count until they are dropped.
func (l *Limiter) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.buckets)
}

// bucket finds or makes the bucket of a key.
func (l *Limiter) bucket(hash uint64, r Rate, now time.Time) *bucket {
	if b, ok := l.buckets[hash]; ok {
		return b
	}
	l.dropFull(now, examined)
	if len(l.ring) >= l.max {
		l.dropFull(now, examinedAtCap)
	}
	if len(l.ring) >= l.max {
		// A bucket for each rate goes beyond the cap; there are few rates.
		hash = maphash.Comparable(l.seed, r)
		if b, ok := l.buckets[hash]; ok {
			return b
		}
	}
	b := &bucket{limiter: rate.NewLimiter(r.limit(), r.Count), rate: r, hash: hash}
	l.buckets[hash] = b
	l.ring = append(l.ring, b)
	return b
}

// dropFull looks at the next few buckets of the ring. A full one is as good as
// none.
func (l *Limiter) dropFull(now time.Time, most int) {
	for range min(most, len(l.ring)) {
		if l.hand >= len(l.ring) {
			l.hand = 0
		}
		if b := l.ring[l.hand]; b.isFull(now) {
			l.drop(b)
		} else {
			l.hand++
		}
	}
}

// drop removes the bucket under the hand; the last one takes its place.
func (l *Limiter) drop(b *bucket) {
	last := len(l.ring) - 1
	l.ring[l.hand] = l.ring[last]
	l.ring[last] = nil
	l.ring = l.ring[:last]
	delete(l.buckets, b.hash)
}

func (b *bucket) isFull(now time.Time) bool {
	return b.limiter.TokensAt(now) >= float64(b.limiter.Burst())
}

// adopt gives a bucket another rate. What it holds is first counted at the old
// one.
func (b *bucket) adopt(r Rate, now time.Time) {
	if b.rate == r {
		return
	}
	b.rate = r
	b.limiter.SetLimitAt(now, r.limit())
	b.limiter.SetBurstAt(now, r.Count)
}

func (r Rate) limit() rate.Limit { return rate.Limit(float64(r.Count) / r.Per.Seconds()) }
