package verification

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/google/uuid"
)

// Service is what every entrance calls. It is safe for concurrent use and
// keeps no state of its own.
type Service struct {
	store   Store
	catalog Catalog
	waker   Waker
	meter   Meter
	log     *slog.Logger
	now     func() time.Time
	random  io.Reader
	// returnURL makes the gateway's own return legs from a nonce.
	returnURL string
	// webhookURL and a connection's name make the address of its webhooks, and
	// eventsSuffix after them the second one.
	webhookURL, eventsSuffix string
}

// Deps is what a Service needs from the process.
type Deps struct {
	Store   Store
	Catalog Catalog
	Waker   Waker
	Meter   Meter
	Log     *slog.Logger
	Now     func() time.Time
	// Random is the source of nonces and of the jitter of fetches:
	// crypto/rand.Reader outside tests.
	Random io.Reader
	// ReturnURL is the public URL of the return leg, without a trailing slash.
	ReturnURL string
	// WebhookURL is the public URL of the webhooks, to which a connection's name
	// is added; EventsSuffix makes the second address of a connection.
	WebhookURL, EventsSuffix string
}

// Meter counts what an operator wants to see. Implementations must be cheap.
type Meter interface {
	// Applied counts what an event did.
	Applied(event EventKind, source Source, effect Effect, rung Rung)
	// Parked counts a delivery that nobody could be matched to.
	Parked(connection string)
	// Mismatched counts a delivery whose provider ref and reference name
	// different verifications: somebody's mistake, or an attack.
	Mismatched(connection string)
	// FoundByPoll counts a change that asking the provider brought and a webhook
	// should have.
	FoundByPoll(connection string)
}

// NewService returns a Service.
func NewService(d Deps) *Service {
	return &Service{
		store: d.Store, catalog: d.Catalog, waker: d.Waker, meter: d.Meter, log: d.Log,
		now: d.Now, random: d.Random, returnURL: d.ReturnURL,
		webhookURL: d.WebhookURL, eventsSuffix: d.EventsSuffix,
	}
}

// Get returns a verification of the scope by id. KindNotFound if there is none.
func (s *Service) Get(ctx context.Context, scope Scope, id uuid.UUID) (*Verification, error) {
	return s.store.Get(ctx, scope, id)
}

// GetByReference returns the newest verification with the reference; of one
// subject only, unless that is empty. KindNotFound if there is none.
func (s *Service) GetByReference(ctx context.Context, scope Scope, reference, subject string) (*Verification, error) {
	return s.store.GetByReference(ctx, scope, reference, subject)
}

// List returns verifications of a scope, newest first.
func (s *Service) List(ctx context.Context, q ListQuery) ([]*Verification, error) {
	return s.store.List(ctx, q)
}

// Cancel calls a verification off. Canceling a canceled one returns it again.
// KindNotFound, or KindRefused when it is over in another way.
func (s *Service) Cancel(ctx context.Context, scope Scope, id uuid.UUID, reason string) (*Verification, error) {
	var canceled *Verification
	var effect Effect
	err := s.change(ctx, func(tx Tx) (*Verification, error) {
		v, err := tx.Lock(ctx, scope, id)
		if err != nil {
			return nil, err
		}
		effect, err = s.move(ctx, tx, v, change{event: Event{Kind: CancelRequested}, source: SourceCaller, reason: reason})
		canceled = v
		return v, err
	})
	if err != nil {
		return nil, err
	}
	s.meter.Applied(CancelRequested, SourceCaller, effect, NoRung)
	if effect == Refused {
		return nil, NewError(KindRefused, "VERIFICATION_OVER",
			"the verification is over ("+string(canceled.State)+") and cannot be canceled")
	}
	return canceled, nil
}

// change runs fn in a transaction and, after the commit, wakes the watchers of
// the verification that fn returns.
func (s *Service) change(ctx context.Context, fn func(Tx) (*Verification, error)) error {
	var changed *Verification
	err := s.store.InTx(ctx, func(tx Tx) error {
		var err error
		changed, err = fn(tx)
		return err
	})
	if err == nil && changed != nil {
		s.waker.Wake(changed)
	}
	return err
}
