package access

import (
	"errors"
	"sync"
	"time"

	"github.com/verigate/verigate/server/access/limit"
	"github.com/verigate/verigate/server/verification"
)

// Rates are how much each kind of caller may do on one node.
type Rates struct {
	// PerKey is for calls with one API key.
	PerKey limit.Rate
	// PerSubject is for calls with one end user's token, or one client token.
	PerSubject limit.Rate
	// StartsPerSubject is for starts of one subject, whoever calls.
	StartsPerSubject limit.Rate
	// PerAddress is for calls and returns from one address, before any
	// credential is looked at.
	PerAddress limit.Rate
	// WebhooksPerAddress is for webhooks from one address.
	WebhooksPerAddress limit.Rate
}

// The names of the limits are those of the configuration and of the metric.
const (
	perKey             = "per_key"
	perSubject         = "per_subject"
	startsPerSubject   = "starts_per_subject"
	perAddress         = "per_address"
	webhooksPerAddress = "webhooks_per_address"
)

// Limits refuses who does too much at a time. It is safe for concurrent use.
//
// A limiter holds a bounded number of buckets, and whoever can make up what is
// counted can use them up: a backend names any subject it likes. New subjects
// then share one bucket. So every project and environment has a limiter of its
// own for each limit on its callers, and so have calls and webhooks by address:
// who uses up the buckets of one has them refused nowhere else.
//
// The memory is bounded by the tenants that there are, because only a caller
// with a good credential gets as far as a tenant's limiters: at most 15 MB for
// each limiter that is full, and next to nothing for the others. A tenant's has
// as much room as that of the addresses, and not less to save memory: with a
// low rate of starts each bucket is in use for long, and a busy tenant must not
// run out of them by honest work.
type Limits struct {
	rates     func() Rates
	now       func() time.Time
	limited   func(name string)
	addresses *limit.Limiter
	webhooks  *limit.Limiter

	mu sync.Mutex
	// tenants grows by three for each project and environment whose callers come.
	tenants map[tenantLimit]*limit.Limiter
}

// tenantLimit is one limit of one project and environment.
type tenantLimit struct {
	scope verification.Scope
	name  string
}

// NewLimits returns Limits that have counted nothing yet. All arguments are
// required: rates is asked anew for each call, so a reload takes effect at once;
// now must not run backwards; limited is told the name of the limit that refused
// somebody.
func NewLimits(rates func() Rates, now func() time.Time, limited func(name string)) *Limits {
	return &Limits{
		rates: rates, now: now, limited: limited,
		addresses: limit.New(now), webhooks: limit.New(now),
		tenants: make(map[tenantLimit]*limit.Limiter),
	}
}

// Caller takes a call from a principal: KindLimited when it had its share.
func (l *Limits) Caller(p Principal) error {
	if p.IsKey() {
		return l.take(perKey, l.of(p.Scope, perKey), p.Holder(), l.rates().PerKey)
	}
	return l.take(perSubject, l.of(p.Scope, perSubject), p.Holder(), l.rates().PerSubject)
}

// Start takes a start of a subject.
func (l *Limits) Start(p Principal, subject string) error {
	return l.take(startsPerSubject, l.of(p.Scope, startsPerSubject), subject, l.rates().StartsPerSubject)
}

// Address takes a call or a return from an address.
func (l *Limits) Address(bucket string) error {
	return l.take(perAddress, l.addresses, bucket, l.rates().PerAddress)
}

// Webhook takes a webhook from an address.
func (l *Limits) Webhook(bucket string) error {
	return l.take(webhooksPerAddress, l.webhooks, bucket, l.rates().WebhooksPerAddress)
}

// of returns the limiter of a tenant for one limit.
func (l *Limits) of(scope verification.Scope, name string) *limit.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := tenantLimit{scope, name}
	limiter, ok := l.tenants[key]
	if !ok {
		limiter = limit.New(l.now)
		l.tenants[key] = limiter
	}
	return limiter
}

func (l *Limits) take(name string, limiter *limit.Limiter, key string, rate limit.Rate) error {
	ok, wait := limiter.Allow(key, rate)
	if ok {
		return nil
	}
	l.limited(name)
	return errTooMuch.After(max(wait, minRetry)).WithCause(errors.New("limit " + name))
}

// minRetry keeps a refused caller from coming back within the same breath.
const minRetry = 50 * time.Millisecond

var errTooMuch = verification.NewError(verification.KindLimited, "RATE_LIMITED",
	"too many calls in a short time; retry after the time that RetryInfo tells")
