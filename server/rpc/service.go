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
	"time"

	"github.com/google/uuid"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/contract"
	"github.com/verigate/verigate/server/park"
	"github.com/verigate/verigate/server/telemetry"
	"github.com/verigate/verigate/server/verification"
	"github.com/verigate/verigate/server/watch"
)

const (
	defaultPageSize = 50
	// listTimeout bounds the wait for a list: only so many run at a time.
	listTimeout = 15 * time.Second
)

// Service implements VerificationService.
type Service struct {
	Verifications *verification.Service
	Hub           *watch.Hub
	Tokens        func() *access.Tokens
	Access        Authenticator
	Limits        Limits
	// Lot is where open streams live.
	Lot *park.Lot
	// MaxPerToken is how many watchers one client token or end user may have on
	// this node, MaxPerKey how many one API key; zero for no limit.
	MaxPerToken int
	MaxPerKey   int
	// Draining is closed when this node wants long polls to end.
	Draining <-chan struct{}
}

var _ verigatev1connect.VerificationServiceHandler = (*Service)(nil)

// StartVerification implements VerificationService.
func (s *Service) StartVerification(ctx context.Context, r *verigatev1.StartVerificationRequest) (*verigatev1.StartVerificationResponse, error) {
	p := principal(ctx)
	subject, err := subjectOf(p, r)
	if err == nil && subject != "" {
		err = s.Limits.Start(p, subject)
	}
	if err != nil {
		return nil, toConnect(err)
	}
	v, err := s.Verifications.Start(ctx, p.Scope, verification.StartRequest{
		EndUser: p.IsEndUser(), Flow: r.GetFlow(), Subject: subject, Reference: r.GetReference(), IdempotencyKey: r.GetIdempotencyKey(),
		RedirectURL: r.GetRedirectUrl(), FailureRedirectURL: r.GetFailureRedirectUrl(),
		CallbackURL: r.GetCallbackUrl(), EventsCallbackURL: r.GetEventsCallbackUrl(),
		ExpiresIn: r.GetExpiresIn().AsDuration(),
		PageTitle: r.GetPageTitle(), SuccessMessage: r.GetSuccessMessage(), FailureMessage: r.GetFailureMessage(),
		Metadata: r.GetMetadata(), UserData: toUserData(r.GetUserData()),
	})
	if err != nil {
		return nil, toConnect(err)
	}
	telemetry.NoteVerification(ctx, v.ID)
	token, err := s.Tokens().Issue(v)
	if err != nil {
		return nil, toConnect(err)
	}
	shown := toProto(v, p)
	// A repeated start may come when the page is of no use any more.
	return &verigatev1.StartVerificationResponse{Verification: shown, HostedUrl: shown.GetHostedUrl(), ClientToken: token}, nil
}

// subjectOf takes an end user's subject from its token, never from the request.
func subjectOf(p access.Principal, r *verigatev1.StartVerificationRequest) (string, error) {
	if !p.IsEndUser() {
		return r.GetSubject(), nil
	}
	if r.GetSubject() != "" {
		return "", verification.Invalid("subject", "is the subject of the end user's token; leave it empty")
	}
	return p.Subject, nil
}

// GetVerification implements VerificationService.
func (s *Service) GetVerification(ctx context.Context, r *verigatev1.GetVerificationRequest) (*verigatev1.GetVerificationResponse, error) {
	p := principal(ctx)
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
		return s.get(ctx, p, r.GetId())
	}
	v, err := s.Verifications.GetByReference(ctx, p.Scope, r.GetReference(), p.Subject)
	if err != nil {
		return nil, err
	}
	if !p.MaySee(v) {
		return nil, verification.ErrNotFound
	}
	telemetry.NoteVerification(ctx, v.ID)
	return v, nil
}

// get reads a verification that the principal may see. What it may not see is
// read all the same: an answer takes as long for what is somebody else's as for
// what is not there.
func (s *Service) get(ctx context.Context, p access.Principal, text string) (*verification.Verification, error) {
	id, err := parseID(ctx, text)
	if err != nil {
		return nil, err
	}
	v, err := s.Verifications.Get(ctx, p.Scope, id)
	if err != nil {
		return nil, err
	}
	if !p.MaySee(v) {
		return nil, verification.ErrNotFound
	}
	return v, nil
}

// watch registers a watcher of a verification that the principal has been seen
// to see, counted for its holder.
func (s *Service) watch(p access.Principal, id uuid.UUID) (*watch.Watcher, error) {
	most := s.MaxPerToken
	if p.IsKey() {
		most = s.MaxPerKey
	}
	return s.Hub.Watch(id, watch.Holder{Name: p.Holder(), Most: most})
}

// waitNewer is the long poll. It registers before it reads, so that it misses
// nothing; a drain ends it like the passing of its time.
func (s *Service) waitNewer(ctx context.Context, p access.Principal, v *verification.Verification, after int64, wait time.Duration) (*verification.Verification, error) {
	watcher, err := s.watch(p, v.ID)
	if err != nil {
		return nil, err
	}
	defer watcher.Close()
	woken := make(bell, 1)
	watcher.Notify(woken)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	v, err = s.get(ctx, p, v.ID.String())
	for {
		if refused := s.Access.Recheck(ctx, p); refused != nil {
			return nil, refused
		}
		if err != nil || v.Version > after {
			return v, err
		}
		select {
		case <-woken:
			v, err = newer(p, v, watcher.Take())
		case <-timer.C:
			return v, s.Access.Recheck(ctx, p)
		case <-s.Draining:
			return v, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// bell rings for a handler that waits.
type bell chan struct{}

// News implements watch.Waiter.
func (b bell) News() {
	select {
	case b <- struct{}{}:
	default: // it rings already
	}
}

// newer returns the newer of what a principal has seen and of news, if it may see
// those.
func newer(p access.Principal, v *verification.Verification, news *watch.News) (*verification.Verification, error) {
	switch {
	case news == nil:
		return v, nil
	case !p.MaySee(news.Verification):
		return nil, verification.ErrNotFound
	case news.Verification.Version > v.Version:
		return news.Verification, nil
	default:
		return v, nil
	}
}

// ListVerifications implements VerificationService.
func (s *Service) ListVerifications(ctx context.Context, r *verigatev1.ListVerificationsRequest) (*verigatev1.ListVerificationsResponse, error) {
	p := principal(ctx)
	before, err := parsePageToken(r.GetPageToken(), listFilters(r))
	if err != nil {
		return nil, toConnect(err)
	}
	size := pageSize(r.GetPageSize())
	// One more than asked tells whether there is a next page.
	q := verification.ListQuery{
		Scope: p.Scope, States: contract.States(r.GetStates()), Flow: r.GetFlow(), Subject: r.GetSubject(),
		Before: before, Limit: size + 1,
	}
	if r.GetCreateTimeFrom() != nil {
		q.From = r.GetCreateTimeFrom().AsTime()
	}
	if r.GetCreateTimeUntil() != nil {
		q.Until = r.GetCreateTimeUntil().AsTime()
	}
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
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
		token, err := pageToken(list[size-1].ID, listFilters(r))
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
	p := principal(ctx)
	id, err := parseID(ctx, r.GetId())
	if err != nil {
		return nil, toConnect(err)
	}
	v, err := s.Verifications.Cancel(ctx, p.Scope, id, r.GetReason())
	if err != nil {
		return nil, toConnect(err)
	}
	return &verigatev1.CancelVerificationResponse{Verification: toProto(v, p)}, nil
}

// parseID parses an id and notes it for the log.
func parseID(ctx context.Context, text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil, verification.Invalid("id", "must be a UUID")
	}
	telemetry.NoteVerification(ctx, id)
	return id, nil
}
