package verification_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/verification"
)

// clock is the time that a test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// company is a provider that a test can make do anything.
type company struct {
	mu      sync.Mutex
	started []verification.StartSession
	// answer replaces the ordinary session.
	answer func(context.Context, verification.StartSession) (verification.Session, error)
}

func tokenOf(id uuid.UUID) string { return "token:" + id.String() }

func (c *company) Start(ctx context.Context, r verification.StartSession) (verification.Session, error) {
	c.mu.Lock()
	c.started = append(c.started, r)
	answer := c.answer
	c.mu.Unlock()
	if answer != nil {
		return answer(ctx, r)
	}
	return ordinary(r), nil
}

// longPage is a session whose page works for a day, whatever was asked for.
func longPage(_ context.Context, r verification.StartSession) (verification.Session, error) {
	session := ordinary(r)
	session.ExpireTime = r.Now.Add(24 * time.Hour)
	return session, nil
}

func ordinary(r verification.StartSession) verification.Session {
	return verification.Session{
		HostedURL: "https://provider.example.com/v/" + r.VerificationID.String(),
		Refs:      []string{tokenOf(r.VerificationID)},
	}
}

func (*company) ReturnRef(query url.Values) string {
	if id := query.Get("verification_id"); id != "" {
		return "verification:" + id
	}
	return ""
}

// nonceOf returns the nonce that the provider was given for a verification.
func (c *company) nonceOf(t testing.TB, id uuid.UUID) string {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.started {
		if r.VerificationID == id {
			return strings.TrimPrefix(r.ReturnURL, legs+"/")
		}
	}
	t.Fatalf("the provider was never asked to start %s", id)
	return ""
}

func (c *company) calls() []verification.StartSession {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]verification.StartSession(nil), c.started...)
}

// catalog is the configuration of all tests: flows by name, one company.
type catalog struct {
	flows   []*verification.Flow
	company *company
}

func (c *catalog) Flow(scope verification.Scope, name string) (*verification.Flow, bool) {
	for _, f := range c.flows {
		if f.Scope == scope && f.Name == name {
			return f, true
		}
	}
	return nil, false
}

func (c *catalog) FlowFor(connection, product string) (*verification.Flow, bool) {
	for _, f := range c.flows {
		if f.Connection == connection && f.Product == product {
			return f, true
		}
	}
	return nil, false
}

func (c *catalog) Provider(string) (verification.Provider, bool) { return c.company, true }

// pollableConnection is the one whose provider can be asked.
const pollableConnection = "polled"

func (*catalog) Pollable(connection string) bool { return connection == pollableConnection }

// CallsBack is true for the shop's tests alone.
func (*catalog) CallsBack(scope verification.Scope) bool { return scope == shop }

func flows() []*verification.Flow {
	flow := func(scope verification.Scope, name, connection, product string, inferred bool) *verification.Flow {
		return &verification.Flow{
			Name: name, Scope: scope, Connection: connection, Product: product, Inferred: inferred,
			ReturnWindow: window, Lifetime: lifetime, Grace: grace,
			AllowedRedirects: []string{"myapp://", "https://app.example.com"},
			RedirectURL:      "myapp://done", FailureRedirectURL: "myapp://sorry",
		}
	}
	lane := flow(shop, "exclusive", "lane", "identity", true)
	lane.Exclusive = true
	full := flow(shop, "limited", "limited", "identity", false)
	full.MaxOpen = maxOpen
	personal := flow(shop, "personal", "personal", "identity", false)
	personal.MaxOpenPerSubject, personal.EndUsers = maxOpenPerSubject, true
	polled := flow(shop, "polled", pollableConnection, "kyc", false)
	polled.FetchAfter = fetchAfter
	return []*verification.Flow{
		flow(shop, "identity", "human", "identity", true),
		flow(shop, "age", "human", "age", true),
		flow(shop, "exact", "human", "passport", false),
		flow(shop, "elsewhere", "second", "identity", true),
		flow(verification.Scope{Project: "shop", Environment: verification.Live}, "identity", "human-live", "identity", true),
		flow(verification.Scope{Project: "rival", Environment: verification.Test}, "identity", "rival", "identity", true),
		lane, full, personal, polled,
	}
}

// fetchAfter is the FetchAfter of the flow `polled`.
const fetchAfter = 2 * time.Minute

// The limits of the flows `limited` and `personal`.
const (
	maxOpen           = 3
	maxOpenPerSubject = 2
)

// meter and waker count what they are told.
type meter struct {
	mu                 sync.Mutex
	effects            map[string]int
	parked, mismatched int
	foundByPoll        int
	woken              map[uuid.UUID]int64
}

func (m *meter) Applied(e verification.EventKind, s verification.Source, f verification.Effect, _ verification.Rung) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.effects[fmt.Sprintf("%s/%s/%s", e, s, f)]++
}

func (m *meter) Mismatched(string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mismatched++
}

func (m *meter) FoundByPoll(string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.foundByPoll++
}

func (m *meter) Parked(string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.parked++
}

func (m *meter) Wake(v *verification.Verification) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.woken[v.ID] = max(m.woken[v.ID], v.Version)
}
