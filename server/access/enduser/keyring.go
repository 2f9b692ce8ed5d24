package enduser

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"
)

const (
	// keysFresh is how long fetched keys are used without asking again, and so
	// how long a withdrawn key still works while its issuer answers.
	keysFresh = 10 * time.Minute
	// keysGood is how long they are used while fetching fails. After it nobody is
	// let in: an issuer may have withdrawn a key and could not tell us.
	keysGood = time.Hour
	// retryPause is how long a failed fetch is not repeated. Callers in between
	// get its error at once.
	retryPause = 5 * time.Second
	// knownPause is the same while known keys are good: a try may take as long as
	// a fetch may, and one call pays for it with its patience.
	knownPause = time.Minute
	// unknownPause is how far two fetches for unknown key ids are apart, so that
	// made-up ids do not become a flood at the issuer. The burst is one: the
	// first unknown id after a quiet time is looked up at once.
	unknownPause = 10 * time.Second
)

var errTooSoon = errors.New("its key id is unknown, and the issuer was asked a moment ago")

// keyring keeps the keys of one issuer. Many calls share one fetch, which is
// done by the call that was first. The others wait for it if they have to: known
// keys that are good serve them meanwhile. That the first one waits, rather than
// use them and have the fetch done behind its back, is what makes a withdrawn
// key end with the first call after ten minutes, however quiet it was before.
type keyring struct {
	issuer  string
	log     *slog.Logger
	now     func() time.Time
	fetch   func(context.Context) ([]key, error)
	unknown *rate.Limiter

	mu     sync.Mutex
	set    *keySet
	flight *flight
	// failure is how the last fetch failed, nil if it did not.
	failure  error
	failedAt time.Time
}

// keySet is what one successful fetch brought.
type keySet struct {
	keys []key
	// asked is when the fetch began: the keys may be as old as that.
	asked time.Time
}

// flight is a fetch under way. set and err are written before done is closed.
type flight struct {
	done chan struct{}
	set  *keySet
	err  error
}

func newKeyring(c Config, deps Deps) *keyring {
	return &keyring{
		issuer: c.Issuer, log: deps.Log, now: deps.Now, fetch: newSource(c, deps.HTTP).fetch,
		unknown: rate.NewLimiter(rate.Every(unknownPause), 1),
	}
}

// find returns the keys that may have signed a token with this key id and
// algorithm: ErrRefused if there is none, ErrUnavailable if that cannot be said.
func (k *keyring) find(ctx context.Context, id, algorithm string) ([]jwt.VerificationKey, error) {
	since := k.now()
	set, err := k.current(ctx)
	if err != nil {
		return nil, err
	}
	if found := choose(set.keys, id, algorithm); len(found) > 0 {
		return found, nil
	}
	if set, err = k.newer(ctx, since); err != nil {
		return nil, err
	}
	if found := choose(set.keys, id, algorithm); len(found) > 0 {
		return found, nil
	}
	return nil, refuse("no key of its issuer fits its key id and algorithm")
}

// current returns keys that are fresh, or good while fresh ones cannot be had.
func (k *keyring) current(ctx context.Context) (*keySet, error) {
	err := k.refresh(ctx, k.outdated, nil)
	k.mu.Lock()
	defer k.mu.Unlock()
	// Without an error they will do, however long the caller waited.
	if err == nil || k.set.within(keysGood, k.now()) {
		return k.set, nil
	}
	return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// outdated reports whether a call must have the known keys fetched anew, or wait
// until another call has. k.mu is held.
func (k *keyring) outdated(now time.Time) bool {
	switch {
	case k.set.within(keysFresh, now):
		return false
	case k.set.within(keysGood, now):
		return k.flight == nil && (k.failure == nil || now.Sub(k.failedAt) >= knownPause)
	default:
		return true
	}
}

// newer returns keys that were asked for at the given time or later.
func (k *keyring) newer(ctx context.Context, since time.Time) (*keySet, error) {
	err := k.refresh(ctx, func(time.Time) bool { return k.set == nil || k.set.asked.Before(since) }, k.unknown)
	if errors.Is(err, errTooSoon) {
		return nil, refuse(errTooSoon.Error())
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.set, nil
}

func (s *keySet) within(age time.Duration, now time.Time) bool {
	return s != nil && now.Sub(s.asked) < age
}

// refresh fetches new keys if they are needed, which is asked under the lock;
// nil means that they need no fetch any more. The limit, if any, counts only
// fetches that would begin now.
func (k *keyring) refresh(ctx context.Context, needed func(now time.Time) bool, limit *rate.Limiter) error {
	f, mine, err := k.board(needed, limit)
	if err != nil || f == nil {
		return err
	}
	if mine {
		k.fly(ctx, f)
		return f.err
	}
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// board returns the fetch under way, or a new one that is the caller's to do.
func (k *keyring) board(needed func(now time.Time) bool, limit *rate.Limiter) (f *flight, mine bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	switch {
	case !needed(now):
		return nil, false, nil
	case k.flight != nil:
		return k.flight, false, nil
	case k.failure != nil && now.Sub(k.failedAt) < retryPause:
		return nil, false, k.failure
	case limit != nil && !limit.AllowN(now, 1):
		return nil, false, errTooSoon
	}
	// The set is for the case that the fetch succeeds, the error for a panic.
	k.flight = &flight{done: make(chan struct{}), set: &keySet{asked: now}, err: errors.New("the fetch did not finish")}
	return k.flight, true, nil
}

// fly does the fetch. Others wait for it, so it does not end with its caller.
func (k *keyring) fly(ctx context.Context, f *flight) {
	defer k.land(ctx, f)
	f.set.keys, f.err = k.fetch(context.WithoutCancel(ctx))
}

func (k *keyring) land(ctx context.Context, f *flight) {
	k.mu.Lock()
	before, known := k.failure, k.set
	k.flight, k.failure, k.failedAt = nil, f.err, k.now()
	if f.err == nil {
		k.set = f.set
	}
	k.mu.Unlock()
	close(f.done)
	switch {
	case before == nil && f.err != nil && known != nil:
		k.log.WarnContext(ctx, "the keys of an end-user token issuer cannot be fetched; known ones serve for a while",
			"issuer", k.issuer, "error", f.err, "until", known.asked.Add(keysGood))
	case before == nil && f.err != nil:
		k.log.WarnContext(ctx, "the keys of an end-user token issuer cannot be fetched; its tokens are not accepted",
			"issuer", k.issuer, "error", f.err)
	case before != nil && f.err == nil:
		k.log.InfoContext(ctx, "the keys of an end-user token issuer can be fetched again", "issuer", k.issuer)
	}
}
