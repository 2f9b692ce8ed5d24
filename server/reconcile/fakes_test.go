package reconcile_test

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/provider"
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

func tokenOf(id uuid.UUID) string { return "token:" + id.String() }

// company is the configuration of all tests: each connection has one flow of its
// name and one account, the last of which cannot be asked.
type company struct {
	mu       sync.Mutex
	accounts map[string]*account
}

const (
	human  = "human"
	second = "second"
	silent = "silent"
)

func newCompany() *company {
	return &company{accounts: map[string]*account{
		human: {inside: map[string]bool{}}, second: {inside: map[string]bool{}}, silent: nil,
	}}
}

// account answers as a test tells it, and watches how it is asked.
type account struct {
	mu sync.Mutex
	// answer is asked for each ref; it says nothing new by default.
	answer func(ctx context.Context, ref string) (verification.Event, error)
	asked  []string
	inside map[string]bool
	// twice are refs that were asked about while an answer was on its way.
	twice []string
}

func (a *account) answers(answer func(ctx context.Context, ref string) (verification.Event, error)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = answer
}

// says makes it answer everything with a kind of event.
func (a *account) says(kind verification.EventKind) {
	a.answers(func(_ context.Context, ref string) (verification.Event, error) {
		return verification.Event{Kind: kind, Product: "kyc", Keys: []string{ref}}, nil
	})
}

func (a *account) fails(err error) {
	a.answers(func(context.Context, string) (verification.Event, error) { return verification.Event{}, err })
}

// Fetch implements provider.Fetcher.
func (a *account) Fetch(ctx context.Context, product, ref string) (verification.Event, error) {
	a.mu.Lock()
	a.asked = append(a.asked, ref)
	if a.inside[ref] {
		a.twice = append(a.twice, ref)
	}
	a.inside[ref] = true
	answer := a.answer
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.inside, ref)
	}()
	if answer != nil {
		return answer(ctx, ref)
	}
	return verification.Event{Kind: verification.PersonSubmitted, Product: product}, nil
}

func (a *account) questions() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.asked)
}

func (a *account) overlaps() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.twice)
}

func (c *company) account(name string) *account {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.accounts[name]
}

// Names implements reconcile.Connections.
func (c *company) Names() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := make([]string, 0, len(c.accounts))
	for name := range c.accounts {
		names = append(names, name)
	}
	return names
}

// Fetcher implements reconcile.Connections.
func (c *company) Fetcher(name string) (provider.Fetcher, bool) {
	if a := c.account(name); a != nil {
		return a, true
	}
	return nil, false
}

// Pollable implements verification.Catalog; a connection that is gone was
// pollable once.
func (*company) Pollable(connection string) bool { return connection != silent }

func (*company) Flow(scope verification.Scope, name string) (*verification.Flow, bool) {
	return &verification.Flow{
		Name: name, Scope: scope, Connection: name, Product: "kyc", Lifetime: lifetime, Grace: grace, FetchAfter: fetchAfter,
	}, true
}

func (c *company) FlowFor(connection, _ string) (*verification.Flow, bool) {
	return c.Flow(shop, connection)
}

func (*company) CallsBack(verification.Scope) bool { return true }

func (*company) Provider(string) (verification.Provider, bool) { return opener{}, true }

// opener opens a page for everybody.
type opener struct{}

func (opener) Start(_ context.Context, r verification.StartSession) (verification.Session, error) {
	return verification.Session{
		HostedURL: "https://provider.example.com/" + r.VerificationID.String(), Refs: []string{tokenOf(r.VerificationID)},
	}, nil
}

// meter counts what it is told, of the domain and of reconciliation.
type meter struct {
	mu       sync.Mutex
	counts   map[string]int
	ages     map[string]time.Duration
	pollable map[string]bool
}

func (m *meter) count(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts[name]++
}

func (m *meter) of(name string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counts[name]
}

func (m *meter) Applied(verification.EventKind, verification.Source, verification.Effect, verification.Rung) {
}

func (m *meter) Parked(string)                   {}
func (m *meter) Wake(*verification.Verification) {}
func (m *meter) Mismatched(c string)             { m.count("mismatched/" + c) }
func (m *meter) FoundByPoll(c string)            { m.count("found/" + c) }
func (m *meter) Fetched(c, outcome string)       { m.count(outcome + "/" + c) }

func (m *meter) OldestUnresolved(c string, age time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ages[c] = age
}

func (m *meter) Pollable(c string, pollable bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pollable[c] = pollable
}

func (m *meter) Forget(c string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.ages, c)
	delete(m.pollable, c)
}
