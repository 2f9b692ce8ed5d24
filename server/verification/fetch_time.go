package verification

import (
	"encoding/binary"
	"io"
	"math"
	"time"
)

const (
	// defaultFetchAfter stands in for a flow that the configuration does not
	// have any more.
	defaultFetchAfter = 2 * time.Minute
	// reviewPatience is the shortest wait while a human at the provider looks:
	// reviews take hours.
	reviewPatience = 15 * time.Minute
	// longestFetchWait is how far the backoff grows, unless the flow starts
	// above it.
	longestFetchWait = time.Hour
	// mostDoublings bounds the loop of the backoff; it is capped long before.
	mostDoublings = 32
	// lastPart is the part of a period, a quarter, that its last fetch lies
	// before its end at most.
	lastPart = 4
	// fetchJitter is how far a repeated wait is stretched or shortened, so that
	// what failed together is not tried again together.
	fetchJitter = 0.2
)

// nextFetch is all the rules of when the provider is asked about v, which stands
// as it is since now; zero for never. after is the flow's FetchAfter, spread a
// random number within ± fetchJitter.
//
//	waiting for the person  shortly before expiry: min(after, a quarter of the
//	                        lifetime) before it
//	processing              after, then doubled; not later than the one above
//	in review               15 minutes at least, then doubled; the same
//	expired, in grace       after, then doubled; the last one shortly before the
//	                        grace period ends
//	decided, called off, failed, erased, never opened: not any more, but for a
//	                        suspicion; see suspect.go
func nextFetch(v *Verification, after time.Duration, now time.Time, spread float64) time.Time {
	if !v.fetchable(now) {
		return time.Time{}
	}
	next := now.Add(fetchWait(v, after, spread))
	if v.State != Expired && now.Before(v.ExpireTime) {
		last := v.ExpireTime.Add(-min(after, v.ExpireTime.Sub(v.CreateTime)/lastPart))
		if v.State == Created || v.State == Pending {
			next = last
		}
		if now.Before(last) {
			return earlier(next, last)
		}
		if next.After(now) && next.Before(v.ExpireTime) {
			return next
		}
		// The sweep will plan anew when it expires.
		next = v.ExpireTime.Add(after)
	}
	if next.Before(v.GraceUntil) {
		return next
	}
	last := v.GraceUntil.Add(-min(after, v.GraceUntil.Sub(v.ExpireTime)/lastPart))
	if now.Before(last) && last.Before(v.GraceUntil) {
		return last
	}
	return time.Time{}
}

// fetchable reports whether the provider's answer could still matter: v is open,
// or it expired and a late decision would win. Without a page or a provider ref
// there is nobody to ask about.
func (v *Verification) fetchable(now time.Time) bool {
	opened := v.HostedURL != "" || !v.BindTime.IsZero()
	if !opened || !v.EraseTime.IsZero() || !v.inGrace(now) {
		return false
	}
	return v.State == Expired || !v.State.Terminal()
}

// fetchWait is the backoff: it doubles with each fetch that changed nothing.
func fetchWait(v *Verification, after time.Duration, spread float64) time.Duration {
	wait := after
	if v.State == InReview {
		wait = max(wait, reviewPatience)
	}
	if v.Fetches == 0 {
		return wait
	}
	longest := max(wait, longestFetchWait)
	for range min(v.Fetches, mostDoublings) {
		wait = min(wait+wait, longest)
	}
	return wait + time.Duration(spread*float64(wait))
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// planFetch sets when the provider is asked next about v. What changed v asked
// for no fetch, so its backoff is for the caller to begin anew.
//
// A suspicion stays until the provider answered.
func (s *Service) planFetch(v *Verification, now time.Time) {
	if v.suspected() {
		return
	}
	v.FetchTime = time.Time{}
	if !v.fetchable(now) || !s.pollable(v.Connection) {
		return
	}
	spread := 0.0
	if v.Fetches > 0 {
		spread = s.spread()
	}
	v.FetchTime = nextFetch(v, s.fetchAfter(v), now, spread)
}

// pollable asks the configuration. A command that has none cannot know; whoever
// is to fetch will.
func (s *Service) pollable(connection string) bool {
	return s.catalog == nil || s.catalog.Pollable(connection)
}

func (s *Service) fetchAfter(v *Verification) time.Duration {
	if s.catalog == nil {
		return defaultFetchAfter
	}
	if flow, ok := s.catalog.Flow(v.Scope, v.Flow); ok && flow.FetchAfter > 0 {
		return flow.FetchAfter
	}
	return defaultFetchAfter
}

// spread is a random number within ± fetchJitter; zero without randomness,
// which costs nothing but the spreading.
func (s *Service) spread() float64 {
	var raw [8]byte
	if _, err := io.ReadFull(s.random, raw[:]); err != nil {
		return 0
	}
	whole := float64(binary.LittleEndian.Uint64(raw[:])) / math.MaxUint64
	return (whole + whole - 1) * fetchJitter
}
