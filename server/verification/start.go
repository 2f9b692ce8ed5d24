package verification

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/google/uuid"
)

// StartRequest is a caller's wish. Field rules that need no configuration were
// checked at the edge.
//
// Its JSON is what an idempotency key is tied to, so the names stay.
type StartRequest struct {
	// EndUser tells that the subject itself calls, with its own token.
	EndUser            bool   `json:"-"`
	Flow               string `json:"flow"`
	Subject            string `json:"subject"`
	Reference          string `json:"reference"`
	IdempotencyKey     string `json:"-"`
	RedirectURL        string `json:"redirect_url"`
	FailureRedirectURL string `json:"failure_redirect_url"`
	CallbackURL        string `json:"callback_url"`
	EventsCallbackURL  string `json:"events_callback_url"`
	// ExpiresIn is zero for the flow's lifetime.
	ExpiresIn      time.Duration     `json:"expires_in"`
	PageTitle      string            `json:"page_title"`
	SuccessMessage string            `json:"success_message"`
	FailureMessage string            `json:"failure_message"`
	Metadata       map[string]string `json:"metadata"`
	// UserData is passed on and forgotten; not even a hash of it stays.
	UserData *UserData `json:"-"`
}

// nonceBytes makes a return leg as hard to guess as a 256-bit key.
const nonceBytes = 32

// Start opens a verification: row first, then the provider, with no transaction
// open in between. If the process dies between the two, the sweep or the first
// webhook finishes the job.
func (s *Service) Start(ctx context.Context, scope Scope, r StartRequest) (*Verification, error) {
	flow, ok := s.catalog.Flow(scope, r.Flow)
	if r.EndUser && (!ok || !flow.EndUsers) {
		return nil, NewError(KindNotFound, "FLOW_NOT_FOUND", "no flow with this name can be started with this token")
	}
	if !ok {
		return nil, NewError(KindNotFound, "FLOW_NOT_FOUND", "no flow with this name in the key's environment; see `flows` in the configuration")
	}
	hash, err := r.contentHash()
	if err != nil {
		return nil, err
	}
	if err := r.checkCaller(); err != nil {
		return nil, err
	}
	r = r.withDefaults(flow)
	if err := r.check(flow); err != nil {
		return nil, err
	}
	if err := r.checkCallbacks(s.catalog.CallsBack(scope)); err != nil {
		return nil, err
	}
	v, nonce, err := s.newVerification(scope, flow, r)
	if err != nil {
		return nil, err
	}
	earlier, err := s.createOnce(ctx, v, flow, r.idempotencyKey(), hash)
	if err != nil || earlier != nil {
		return earlier, err
	}
	return s.openSession(ctx, v, flow, r, nonce)
}

// withDefaults lets the request beat the flow, field by field.
func (r StartRequest) withDefaults(f *Flow) StartRequest {
	pick := func(field *string, fallback string) {
		if *field == "" {
			*field = fallback
		}
	}
	pick(&r.RedirectURL, f.RedirectURL)
	pick(&r.FailureRedirectURL, f.FailureRedirectURL)
	pick(&r.CallbackURL, f.CallbackURL)
	pick(&r.EventsCallbackURL, f.EventsCallbackURL)
	pick(&r.PageTitle, f.PageTitle)
	pick(&r.SuccessMessage, f.SuccessMessage)
	pick(&r.FailureMessage, f.FailureMessage)
	if r.ExpiresIn == 0 {
		r.ExpiresIn = f.Lifetime
	}
	return r
}

func (r StartRequest) check(f *Flow) error {
	for _, target := range []struct{ field, url string }{
		{"redirect_url", r.RedirectURL}, {"failure_redirect_url", r.FailureRedirectURL},
	} {
		if target.url == "" {
			continue
		}
		if err := CheckRedirect(target.field, target.url, f.AllowedRedirects); err != nil {
			return err
		}
	}
	for _, target := range []struct{ field, url string }{
		{"callback_url", r.CallbackURL}, {"events_callback_url", r.EventsCallbackURL},
	} {
		if target.url == "" {
			continue
		}
		if err := CheckCallbackURL(target.field, target.url); err != nil {
			return err
		}
	}
	return nil
}

// checkCallbacks refuses callbacks that nobody could sign: a backend must not
// wait for what never comes.
func (r StartRequest) checkCallbacks(signed bool) error {
	const remedy = "callbacks cannot be signed: the configuration has no secret for the key's project and environment; add one under `callbacks`, or leave this out"
	switch {
	case signed:
		return nil
	case r.CallbackURL != "":
		return Invalid("callback_url", remedy)
	case r.EventsCallbackURL != "":
		return Invalid("events_callback_url", remedy)
	}
	return nil
}

func (s *Service) newVerification(scope Scope, f *Flow, r StartRequest) (*Verification, string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, "", NewError(KindInternal, "INTERNAL", "internal error").WithCause(err)
	}
	secret := make([]byte, nonceBytes)
	if _, err := io.ReadFull(s.random, secret); err != nil {
		return nil, "", NewError(KindInternal, "INTERNAL", "internal error").WithCause(err)
	}
	nonce := base64.RawURLEncoding.EncodeToString(secret)
	now := s.now()
	expire := now.Add(r.ExpiresIn)
	return &Verification{
		ID: id, Scope: scope,
		Flow: f.Name, Connection: f.Connection, Product: f.Product,
		Subject: r.Subject, Reference: r.Reference, Metadata: r.Metadata,
		State: Created, Version: 1,
		RedirectURL: r.RedirectURL, FailureRedirectURL: r.FailureRedirectURL,
		CallbackURL: r.CallbackURL, EventsCallbackURL: r.EventsCallbackURL,
		NonceHash: HashNonce(nonce), Lane: f.Lane(),
		CreateTime: now, UpdateTime: now, ExpireTime: expire, GraceUntil: expire.Add(f.Grace), PageUntil: expire,
	}, nonce, nil
}

// HashNonce is how a return leg's nonce is stored.
func HashNonce(nonce string) []byte {
	sum := sha256.Sum256([]byte(nonce))
	return sum[:]
}

// createOnce inserts the row, or finds the one that the same idempotency key
// made before.
func (s *Service) createOnce(ctx context.Context, v *Verification, flow *Flow, key string, hash []byte) (*Verification, error) {
	var claim Claim
	err := s.change(ctx, func(tx Tx) (*Verification, error) {
		claim = Claim{Fresh: true}
		if key != "" {
			var err error
			claim, err = tx.ClaimIdempotency(ctx, v.Scope, key, hash, v.ID, v.CreateTime)
			if err != nil || !claim.Fresh {
				return nil, err
			}
		}
		if err := checkOpen(ctx, tx, v, flow); err != nil {
			return nil, err
		}
		return v, tx.Create(ctx, v, &Transition{
			VerificationID: v.ID, Version: v.Version, Scope: v.Scope, To: Created,
			Event: Started, Source: SourceCaller, CreateTime: v.CreateTime,
		})
	})
	if err != nil || claim.Fresh {
		return nil, err
	}
	if !bytes.Equal(claim.RequestHash, hash) {
		return nil, &Error{
			Kind: KindConflict, Reason: "IDEMPOTENCY_KEY_REUSED", Field: "idempotency_key",
			Message: "was used before with other content; use a new key for a new verification",
		}
	}
	earlier, err := s.store.Get(ctx, v.Scope, claim.VerificationID)
	if err != nil {
		return nil, err
	}
	if earlier.State == Created {
		return nil, NewError(KindRaced, "START_IN_PROGRESS", "a start with this idempotency_key is still in progress; retry in a moment")
	}
	return earlier, nil
}

// contentHash covers everything that the caller said but the key itself; what
// the flow adds may change between two tries.
func (r StartRequest) contentHash() ([]byte, error) {
	content, err := json.Marshal(r)
	if err != nil {
		return nil, NewError(KindInternal, "INTERNAL", "internal error").WithCause(err)
	}
	sum := sha256.Sum256(content)
	return sum[:], nil
}

// openSession calls the provider and records what it said.
func (s *Service) openSession(ctx context.Context, v *Verification, f *Flow, r StartRequest, nonce string) (*Verification, error) {
	session, err := s.callProvider(ctx, v, f, r, nonce)
	if err != nil {
		s.abandon(ctx, v, err)
		return nil, err
	}
	// The page is open now: that is written down even if the caller is gone.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	opened := v
	var effect Effect
	err = s.change(ctx, func(tx Tx) (*Verification, error) {
		var err error
		opened, effect, err = s.recordSession(ctx, tx, v, session)
		return opened, err
	})
	if errors.Is(err, ErrRefTaken) {
		// Whoever finished that page would decide somebody else's verification.
		s.log.ErrorContext(ctx, "the provider answered with a session that belongs to another verification",
			"connection", v.Connection, "verification_id", v.ID)
		err = NewError(KindUnavailable, "PROVIDER_SESSION_REUSED", "the provider did not open a new session; retry").WithCause(err)
		s.abandon(ctx, v, err)
	}
	if err != nil {
		return nil, err
	}
	s.meter.Applied(SessionOpened, SourceGateway, effect, NoRung)
	s.retryParked(ctx, opened)
	opened, err = s.store.Get(ctx, opened.Scope, opened.ID)
	if err == nil {
		err = opened.tooLate()
	}
	if err != nil {
		return nil, err
	}
	return opened, nil
}

// tooLate says why nobody should be sent to the page of a verification that
// ended while it was being started; nil if somebody may, or has been already.
func (v *Verification) tooLate() error {
	switch v.State {
	case Failed:
		return NewError(KindUnavailable, "START_TOOK_TOO_LONG", "the start took too long and was given up; retry")
	case Canceled, Expired:
		return NewError(KindRefused, "VERIFICATION_OVER", "the verification was over ("+string(v.State)+") before it had started")
	case Created, Pending, Processing, InReview, Approved, Declined:
		return nil
	}
	return nil
}

func (s *Service) callProvider(ctx context.Context, v *Verification, f *Flow, r StartRequest, nonce string) (Session, error) {
	p, ok := s.catalog.Provider(f.Connection)
	if !ok {
		return Session{}, NewError(KindInternal, "INTERNAL", "internal error").WithCause(errors.New("no provider for connection " + f.Connection))
	}
	request := StartSession{
		VerificationID: v.ID, Product: f.Product, HostedURL: f.HostedURL,
		ExpireTime: v.ExpireTime, Now: v.CreateTime,
		PageTitle: r.PageTitle, SuccessMessage: r.SuccessMessage, FailureMessage: r.FailureMessage,
		Flow: f.Name, Options: f.Options, UserData: r.UserData,
		AnyReturnURL: s.returnURL + "/" + nonce,
		WebhookURL:   s.webhookURL + f.Connection, EventsWebhookURL: s.webhookURL + f.Connection + s.eventsSuffix,
	}
	// Without a target of the app's own the person stays on the provider's
	// result page, so no leg is set for that outcome.
	if v.RedirectURL != "" {
		request.ReturnURL = s.returnURL + "/" + nonce
	}
	if v.FailureRedirectURL != "" {
		request.FailureReturnURL = s.returnURL + "/" + nonce + "/failure"
	}
	return p.Start(ctx, request)
}

// recordSession stores what the provider answered. A webhook may have been
// faster: then the state stays as it is and only the page and refs are added.
func (s *Service) recordSession(ctx context.Context, tx Tx, started *Verification, session Session) (*Verification, Effect, error) {
	v, err := tx.Lock(ctx, started.Scope, started.ID)
	if err != nil {
		return nil, "", err
	}
	erased := !v.EraseTime.IsZero()
	if !erased {
		v.HostedURL = session.HostedURL
	}
	v.takeTimes(session.ExpireTime)
	if err := bindRefs(ctx, tx, v, Exact, session.Refs, s.now()); err != nil {
		return nil, "", err
	}
	effect, err := s.move(ctx, tx, v, change{event: Event{Kind: SessionOpened}, source: SourceGateway})
	if err == nil && effect != Applied {
		s.planFetch(v, s.now())
		err = tx.Save(ctx, v, nil)
	}
	if err == nil && erased {
		// What was parked until this session was known is erased with it.
		_, err = tx.Erase(ctx, v)
	}
	return v, effect, err
}

// takeTimes lets the provider's page end a verification sooner, never later. A
// page that works longer is remembered: its webhook may still come.
func (v *Verification) takeTimes(pageUntil time.Time) {
	if pageUntil.IsZero() {
		return
	}
	v.PageUntil = pageUntil
	if pageUntil.Before(v.ExpireTime) {
		grace := v.GraceUntil.Sub(v.ExpireTime)
		v.ExpireTime, v.GraceUntil = pageUntil, pageUntil.Add(grace)
	}
}

// abandon ends a verification whose provider could not be reached. The
// idempotency key is released with it, so that a retry starts anew. The caller
// may be gone already; the row must not be left behind because of that.
func (s *Service) abandon(ctx context.Context, v *Verification, cause error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	reason := ReasonProviderUnavailable
	if KindOf(cause) == KindRefused {
		reason = ReasonProviderRefused
	}
	if err := s.fail(ctx, Place{v.Scope, v.ID}, reason); err != nil {
		s.log.ErrorContext(ctx, "could not record a failed start; the sweep will", "verification_id", v.ID, "error", err)
	}
}

// recordTimeout bounds what is written when the caller may be gone. It is long: a
// page that is open at the provider and in nobody's books is paid for in vain.
const recordTimeout = 10 * time.Second

// Reason codes of the gateway's own.
const (
	// ReasonProviderUnavailable: the provider could not be reached at start.
	ReasonProviderUnavailable = "provider_unavailable"
	// ReasonProviderRefused: the provider refused our account or request.
	ReasonProviderRefused = "provider_refused"
	// ReasonStartInterrupted: the gateway died while it started.
	ReasonStartInterrupted = "start_interrupted"
	// ReasonLifetimeOver: the person did not finish in time.
	ReasonLifetimeOver = "lifetime_over"
	// ReasonErased: it was open when its subject was erased.
	ReasonErased = "subject_erased"
)

// fail ends a verification that never started.
func (s *Service) fail(ctx context.Context, started Place, reason string) error {
	return s.change(ctx, func(tx Tx) (*Verification, error) {
		v, err := tx.Lock(ctx, started.Scope, started.ID)
		if err != nil {
			return nil, err
		}
		if v.State != Created {
			return v, nil // a webhook was faster
		}
		event := Event{Kind: ProcessingFailed, ReasonCodes: []string{reason}}
		if _, err := s.move(ctx, tx, v, change{event: event, source: SourceGateway}); err != nil {
			return nil, err
		}
		return v, tx.ReleaseIdempotency(ctx, v)
	})
}
