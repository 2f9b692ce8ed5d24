// Package rpc speaks Connect, gRPC and gRPC-Web: it translates a request in,
// calls the domain once, and translates the answer out. It decides nothing
// about a verification but whether the caller may see it.
//
//	request ─► interceptors: recover, log, trace, authenticate ─► decode ─►
//	field rules ─► handler ─► verification.Service
//
// It imports verification, watch, access, telemetry and generated code, never
// store, webhook or an adapter.
package rpc

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/telemetry"
	"github.com/verigate/verigate/server/verification"
	"github.com/verigate/verigate/server/watch"
)

const defaultPageSize = 50

// Service implements VerificationService.
type Service struct {
	Verifications *verification.Service
	Hub           *watch.Hub
	Tokens        func() *access.Tokens
	Timing        Timing
	// Draining is closed when this node wants its streams to end, over
	// Timing.DrainSpread from then on.
	Draining <-chan struct{}
}

// Timing is how streams live.
type Timing struct {
	// Heartbeat is the mean time between heartbeats; each is ± 20 %.
	Heartbeat time.Duration
	// MaxAge ends a stream at a random age between half of it and it.
	MaxAge time.Duration
	// DrainSpread is over how long streams end when the node drains.
	DrainSpread time.Duration
	// Write is how long one message may take to leave; zero means 10 s.
	Write time.Duration
}

var _ verigatev1connect.VerificationServiceHandler = (*Service)(nil)

// StartVerification implements VerificationService.
func (s *Service) StartVerification(ctx context.Context, r *verigatev1.StartVerificationRequest) (*verigatev1.StartVerificationResponse, error) {
	p, err := backend(ctx)
	if err != nil {
		return nil, toConnect(err)
	}
	v, err := s.Verifications.Start(ctx, p.Scope, verification.StartRequest{
		Flow: r.GetFlow(), Subject: r.GetSubject(), Reference: r.GetReference(), IdempotencyKey: r.GetIdempotencyKey(),
		RedirectURL: r.GetRedirectUrl(), FailureRedirectURL: r.GetFailureRedirectUrl(),
		CallbackURL: r.GetCallbackUrl(), EventsCallbackURL: r.GetEventsCallbackUrl(),
		ExpiresIn: r.GetExpiresIn().AsDuration(),
		PageTitle: r.GetPageTitle(), SuccessMessage: r.GetSuccessMessage(), FailureMessage: r.GetFailureMessage(),
		Metadata: r.GetMetadata(),
	})
	if err != nil {
		return nil, toConnect(err)
	}
	telemetry.NoteVerification(ctx, v.ID)
	token, err := s.Tokens().Issue(v)
	if err != nil {
		return nil, toConnect(err)
	}
	return &verigatev1.StartVerificationResponse{
		Verification: toProto(v, p), HostedUrl: v.HostedURL, ClientToken: token,
	}, nil
}

// GetVerification implements VerificationService.
func (s *Service) GetVerification(ctx context.Context, r *verigatev1.GetVerificationRequest) (*verigatev1.GetVerificationResponse, error) {
	p, err := principal(ctx)
	if err != nil {
		return nil, toConnect(err)
	}
	v, err := s.find(ctx, p, r)
	if err == nil && r.GetWait().AsDuration() > 0 {
		v, err = s.waitNewer(ctx, p, v, r.GetAfterVersion(), r.GetWait().AsDuration())
	}
	if err != nil {
		return nil, toConnect(err)
	}
	return &verigatev1.GetVerificationResponse{Verification: toProto(v, p)}, nil
}

func (s *Service) find(ctx context.Context, p access.Principal, r *verigatev1.GetVerificationRequest) (*verification.Verification, error) {
	if r.GetId() != "" {
		id, err := visible(ctx, p, r.GetId())
		if err != nil {
			return nil, err
		}
		return s.Verifications.Get(ctx, p.Scope, id)
	}
	v, err := s.Verifications.GetByReference(ctx, p.Scope, r.GetReference())
	if err != nil {
		return nil, err
	}
	if !p.MaySee(v.ID) {
		return nil, verification.ErrNotFound
	}
	telemetry.NoteVerification(ctx, v.ID)
	return v, nil
}

// waitNewer is the long poll. It registers before it reads, so that it misses
// nothing; a drain ends it like the passing of its time.
func (s *Service) waitNewer(ctx context.Context, p access.Principal, v *verification.Verification, after int64, wait time.Duration) (*verification.Verification, error) {
	watcher, err := s.Hub.Watch(v.ID)
	if err != nil {
		return nil, err
	}
	defer watcher.Close()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		v, err = s.Verifications.Get(ctx, p.Scope, v.ID)
		if err != nil || v.Version > after {
			return v, err
		}
		select {
		case <-watcher.C:
		case <-timer.C:
			return v, nil
		case <-s.Draining:
			return v, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// ListVerifications implements VerificationService.
func (s *Service) ListVerifications(ctx context.Context, r *verigatev1.ListVerificationsRequest) (*verigatev1.ListVerificationsResponse, error) {
	p, err := backend(ctx)
	if err != nil {
		return nil, toConnect(err)
	}
	before, err := parsePageToken(r.GetPageToken(), r)
	if err != nil {
		return nil, toConnect(err)
	}
	size := int(r.GetPageSize())
	if size == 0 {
		size = defaultPageSize
	}
	// One more than asked tells whether there is a next page.
	q := verification.ListQuery{Scope: p.Scope, Flow: r.GetFlow(), Subject: r.GetSubject(), Before: before, Limit: size + 1}
	for _, state := range r.GetStates() {
		q.States = append(q.States, toState(state))
	}
	if r.GetCreateTimeFrom() != nil {
		q.From = r.GetCreateTimeFrom().AsTime()
	}
	if r.GetCreateTimeUntil() != nil {
		q.Until = r.GetCreateTimeUntil().AsTime()
	}
	list, err := s.Verifications.List(ctx, q)
	if err != nil {
		return nil, toConnect(err)
	}
	return page(list, size, p, r)
}

func page(list []*verification.Verification, size int, p access.Principal, r *verigatev1.ListVerificationsRequest) (*verigatev1.ListVerificationsResponse, error) {
	response := &verigatev1.ListVerificationsResponse{}
	if len(list) > size {
		list = list[:size]
		token, err := pageToken(list[size-1].ID, r)
		if err != nil {
			return nil, toConnect(err)
		}
		response.NextPageToken = token
	}
	for _, v := range list {
		response.Verifications = append(response.Verifications, toProto(v, p))
	}
	return response, nil
}

// CancelVerification implements VerificationService.
func (s *Service) CancelVerification(ctx context.Context, r *verigatev1.CancelVerificationRequest) (*verigatev1.CancelVerificationResponse, error) {
	p, err := backend(ctx)
	if err != nil {
		return nil, toConnect(err)
	}
	id, err := visible(ctx, p, r.GetId())
	if err != nil {
		return nil, toConnect(err)
	}
	v, err := s.Verifications.Cancel(ctx, p.Scope, id, r.GetReason())
	if err != nil {
		return nil, toConnect(err)
	}
	return &verigatev1.CancelVerificationResponse{Verification: toProto(v, p)}, nil
}

// visible parses an id, notes it for the log, and hides what is not the
// principal's.
func visible(ctx context.Context, p access.Principal, text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil, verification.Invalid("id", "must be a UUID")
	}
	telemetry.NoteVerification(ctx, id)
	if !p.MaySee(id) {
		return uuid.Nil, verification.ErrNotFound
	}
	return id, nil
}

// between returns a random duration from low to high. It spreads load and keeps
// no secret.
func between(low, high time.Duration) time.Duration {
	if high <= low {
		return low
	}
	return low + rand.N(high-low)
}
