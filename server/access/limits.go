package access

import (
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

// Limits refuses who does too much at a time. It is safe for concurrent use.
type Limits struct {
	// Rates are asked anew for each call, so a reload takes effect at once.
	Rates   func() Rates
	Buckets *limit.Limiter
	// Limited is told which limit refused somebody.
	Limited func(name string)
}

// Caller takes a call from a principal: KindLimited when it had its share.
func (l *Limits) Caller(p Principal) error {
	if p.IsKey() {
		return l.take("per_key", p.Holder(), l.Rates().PerKey)
	}
	return l.take("per_subject", p.Holder(), l.Rates().PerSubject)
}

// Start takes a start of a subject.
func (l *Limits) Start(p Principal, subject string) error {
	return l.take("starts_per_subject", "start/"+within(p.Scope, subject), l.Rates().StartsPerSubject)
}

// Address takes a call or a return from an address.
func (l *Limits) Address(bucket string) error {
	return l.take("per_address", "address/"+bucket, l.Rates().PerAddress)
}

// Webhook takes a webhook from an address.
func (l *Limits) Webhook(bucket string) error {
	return l.take("webhooks_per_address", "webhook/"+bucket, l.Rates().WebhooksPerAddress)
}

func (l *Limits) take(name, key string, rate limit.Rate) error {
	ok, wait := l.Buckets.Allow(key, rate)
	if ok {
		return nil
	}
	l.Limited(name)
	return errTooMuch.After(max(wait, minRetry))
}

// minRetry keeps a refused caller from coming back within the same breath.
const minRetry = 50 * time.Millisecond

var errTooMuch = verification.NewError(verification.KindLimited, "RATE_LIMITED",
	"too many calls in a short time; retry after the time that RetryInfo tells")
