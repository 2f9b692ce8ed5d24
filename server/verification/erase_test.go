package verification_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/verigate/verigate/server/verification"
)

// anna is the subject that the tests erase.
const anna = "anna@example.com"

var operator = verification.Operator{Actor: "key:0", Address: "192.0.2.1", RequestID: "r1"}

// erase erases anna and returns what that did.
func (g *gateway) erase() verification.Erasure {
	g.t.Helper()
	e, err := g.EraseSubject(g.t.Context(), shop, anna, "TICKET-7", operator)
	if err != nil {
		g.t.Fatal(err)
	}
	return e
}

// startAnna opens a verification of anna and lets a second pass.
func (g *gateway) startAnna(flow string) uuid.UUID {
	g.t.Helper()
	v, err := g.Start(g.t.Context(), shop, startOf(flow, anna, ""))
	if err != nil {
		g.t.Fatal(err)
	}
	g.clock.forward(time.Second)
	return v.ID
}

// holders returns the tables of the whole database that hold a text in any
// column, be it as text or as bytes.
func (g *gateway) holders(text string) []string {
	g.t.Helper()
	rows, err := g.db.Query(g.t.Context(), `SELECT relname FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') ORDER BY relname`)
	if err != nil {
		g.t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		g.t.Fatal(err)
	}
	return slices.DeleteFunc(tables, func(table string) bool {
		var found bool
		err := g.db.QueryRow(g.t.Context(), `SELECT EXISTS (SELECT 1 FROM `+pgx.Identifier{table}.Sanitize()+` r
			WHERE strpos(lower(r::text), lower($1)) > 0 OR strpos(r::text, $2) > 0)`, text, hex.EncodeToString([]byte(text))).Scan(&found)
		if err != nil {
			g.t.Fatal(err)
		}
		return !found
	})
}

// gone checks that no table holds any of the texts.
func (g *gateway) gone(texts ...string) {
	g.t.Helper()
	for _, text := range texts {
		if tables := g.holders(text); len(tables) > 0 {
			g.t.Errorf("%q is still in %v", text, tables)
		}
	}
}

// bare checks that a delivery has an effect and keeps nothing.
func (g *gateway) bare(d *verification.Delivery, effect verification.Effect, of uuid.UUID) {
	g.t.Helper()
	kept, err := g.store.Delivery(g.t.Context(), d.Scope, d.ID)
	if err != nil {
		g.t.Fatal(err)
	}
	if kept.Effect != effect || kept.VerificationID != of || !kept.Emptied || kept.Body != nil || kept.Headers != nil ||
		len(kept.Event.Keys)+len(kept.Event.Refs) != 0 || kept.Event.VerificationID != "" {
		g.t.Errorf("the delivery is kept as %+v, want %s and nothing in it", kept, effect)
	}
}

// personal is everything that a full life leaves about anna, each in words of
// its own.
func personal() []string {
	return []string{
		anna, "m-reference", "m-metadata-key", "m-metadata-value", "m-redirect", "m-failure", "m-callback", "m-events",
		"m-hosted", "m-token", "m-ref", "m-claim", "m-parked", "m-cancel-reason", "m-idempotency", "m-body", "m-header",
	}
}

// fullLife makes two verifications of anna, one decided and one open, with all
// that can hang on them, and returns the open one.
func (g *gateway) fullLife() (decided, open uuid.UUID) {
	g.t.Helper()
	g.company.answer = func(_ context.Context, r verification.StartSession) (verification.Session, error) {
		return verification.Session{
			HostedURL: "https://provider.example.com/m-hosted/" + r.VerificationID.String(),
			Refs:      []string{"token:m-token-" + r.VerificationID.String()},
		}, nil
	}
	defer func() { g.company.answer = nil }()
	begin := func(key string) uuid.UUID {
		v, err := g.Start(g.t.Context(), shop, verification.StartRequest{
			Flow: "identity", Subject: anna, Reference: "m-reference", IdempotencyKey: "m-idempotency" + key,
			RedirectURL: "https://app.example.com/done?u=m-redirect", FailureRedirectURL: "https://app.example.com/sorry?u=m-failure",
			CallbackURL: "https://api.example.com/a?u=m-callback", EventsCallbackURL: "https://api.example.com/b?u=m-events",
			Metadata: map[string]string{"m-metadata-key": "m-metadata-value"},
		})
		if err != nil {
			g.t.Fatal(err)
		}
		g.clock.forward(time.Second)
		return v.ID
	}
	token := func(id uuid.UUID) string { return "token:m-token-" + id.String() }
	full := func(d *verification.Delivery) *verification.Delivery {
		d.Body, d.Headers = []byte(`{"name":"m-body"}`), map[string]string{"X-Note": "m-header"}
		d.DedupeKey = "verification:m-ref:" + d.ID.String()
		return d
	}
	decided, canceled, open := begin("1"), begin("2"), begin("3")
	first := full(withKey(g.webhook(passed, "verification:m-ref"), token(decided)))
	g.deliver(first, applied)
	repeat := *first
	repeat.ID = uuid.Must(uuid.NewV7())
	g.deliver(&repeat, duplicate)
	if _, err := g.Cancel(g.t.Context(), shop, canceled, "she said m-cancel-reason"); err != nil {
		g.t.Fatal(err)
	}
	g.returns(open, "verification_id=m-claim")
	// It names two people: it waits, for whichever of them.
	g.deliver(full(withKey(g.webhook(passed, "verification:m-parked"), token(open), token(decided))), unmatched)
	g.deliver(full(withKey(g.webhook(reviewing), token(open))), applied)
	// What lies sealed cannot be searched: one lies open, as before the seal.
	_, err := g.db.Exec(g.t.Context(), `UPDATE delivery SET key_id = '', headers = '{"X-Note": "m-header"}', body = 'm-body' WHERE id = $1`, first.ID)
	if err != nil {
		g.t.Fatal(err)
	}
	return decided, open
}

func TestNothingPersonalSurvivesAnErasure(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	decided, open := g.fullLife()
	for _, text := range personal() {
		if len(g.holders(text)) == 0 {
			t.Fatalf("%q is nowhere before the erasure: the search would find nothing anyway", text)
		}
	}
	before := g.get(open)
	e := g.erase()
	g.gone(personal()...)
	if e.Verifications != 3 || e.Canceled != 1 || e.Deliveries != 3 {
		t.Errorf("the erasure is %+v, want 3 verifications, 1 canceled, 3 deliveries", e)
	}
	g.want(decided, approved, verification.Exact)
	g.want(open, canceled, verification.Exact)
	after := g.get(open)
	if after.Subject != verification.ErasedSubject || !after.EraseTime.Equal(g.clock.Now()) || !after.CreateTime.Equal(before.CreateTime) {
		t.Errorf("it is %+v", after)
	}
	timeline := g.timeline(open)
	last := timeline[len(timeline)-1]
	if last.Source != verification.SourceOperator || !slices.Equal(last.ReasonCodes, []string{verification.ReasonErased}) {
		t.Errorf("the last transition is %+v", last)
	}
	if woken := g.meter.version(open); woken != after.Version {
		t.Errorf("its watchers were woken for version %d, want %d", woken, after.Version)
	}
	if target, err := g.Returned(t.Context(), verification.Return{Nonce: g.company.nonceOf(t, decided)}); err != nil || target != "" {
		t.Errorf("the return leg still leads to %q (%v)", target, err)
	}
}

func (m *meter) version(id uuid.UUID) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.woken[id]
}

func TestAnErasureIsAuditedWithoutTheSubject(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.fullLife()
	e := g.erase()
	entries, err := g.store.AuditEntries(t.Context(), verification.AuditQuery{Scope: shop, Limit: 10})
	if err != nil || len(entries) != 1 {
		t.Fatalf("the audit log has %d entries (%v), want one", len(entries), err)
	}
	got := entries[0]
	for key, want := range map[string]string{"reason": "TICKET-7", "verifications": "3", "canceled": "1", "deliveries": "3"} {
		if got.Details[key] != want {
			t.Errorf("%s is %q, want %q", key, got.Details[key], want)
		}
	}
	if got.Action != verification.AuditErase || got.Target != e.ID.String() || got.Operator != operator || strings.Contains(fmt.Sprint(got), "anna") {
		t.Errorf("the entry is %+v", got)
	}
}

func TestAnErasureThatMustBeRefused(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	id := g.startAnna("identity")
	for name, c := range map[string]struct{ subject, reason, field string }{
		"a reason that names the subject":   {anna, "mail from Anna@Example.COM", "reason"},
		"a reason with a short subject":     {"7", "TICKET-7", "reason"},
		"the same, after another number":    {"7", "case 77, user 7", "reason"},
		"nobody":                            {"", "TICKET-7", "subject"},
		"what erased subjects are called":   {verification.ErasedSubject, "TICKET-7", "subject"},
		"the same, with a reason to see it": {verification.ErasedSubject, verification.ErasedSubject, "subject"},
	} {
		_, err := g.EraseSubject(t.Context(), shop, c.subject, c.reason, operator)
		wantKind(t, err, verification.KindInvalid)
		if !strings.HasPrefix(err.Error(), c.field+": ") {
			t.Errorf("%s: the error %q does not name %s", name, err, c.field)
		}
	}
	if v := g.get(id); v.Subject != anna || v.State != pending {
		t.Errorf("it is %+v", v)
	}
	if n := g.count("audit_entry"); n != 0 {
		t.Errorf("%d entries in the audit log", n)
	}
}

func TestAShortSubjectDoesNotForbidEveryReason(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	for _, reason := range []string{"TICKET-4711", "case 77", "7up"} {
		if _, err := g.EraseSubject(t.Context(), shop, "7", reason, operator); err != nil {
			t.Errorf("%q: %v", reason, err)
		}
	}
}

func (g *gateway) count(table string) (rows int64) {
	g.t.Helper()
	if err := g.db.QueryRow(g.t.Context(), `SELECT count(*) FROM `+table).Scan(&rows); err != nil {
		g.t.Fatal(err)
	}
	return rows
}

func TestAnErasureLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	begin := func(scope verification.Scope, flow, subject string) *verification.Verification {
		v, err := g.Start(t.Context(), scope, verification.StartRequest{
			Flow: flow, Subject: subject, Reference: "order-1", IdempotencyKey: "k-" + subject + flow, Metadata: map[string]string{"a": "b"},
		})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	live := verification.Scope{Project: "shop", Environment: verification.Live}
	rival := verification.Scope{Project: "rival", Environment: verification.Test}
	begin(shop, "identity", anna)
	for connection, v := range map[string]*verification.Verification{
		"human": begin(shop, "identity", anna+"x"), "second": begin(shop, "elsewhere", "u2"),
		"human-live": begin(live, "identity", anna), "rival": begin(rival, "identity", anna),
	} {
		d := withKey(g.webhook(passed, "verification:"+v.ID.String()), tokenOf(v.ID))
		d.Connection, d.Scope = connection, v.Scope
		g.deliver(d, applied)
		parked := withKey(g.webhook(passed, "verification:2"), "token:nobody")
		parked.Connection, parked.Scope = connection, v.Scope
		g.deliver(parked, unmatched)
	}
	const rows = `SELECT string_agg(r, E'\n' ORDER BY r) FROM (
		SELECT v::text FROM verification v WHERE (project, environment, subject) <> ('shop', 'test', $1)
		UNION ALL SELECT d::text FROM delivery d
		UNION ALL SELECT t::text FROM transition t JOIN verification v ON v.id = t.verification_id
			WHERE (v.project, v.environment, v.subject) NOT IN (('shop', 'test', $1), ('shop', 'test', $2))
		UNION ALL SELECT p::text FROM provider_ref p JOIN verification v ON v.id = p.verification_id
			WHERE (v.project, v.environment, v.subject) NOT IN (('shop', 'test', $1), ('shop', 'test', $2))
		UNION ALL SELECT i::text FROM idempotency i WHERE key <> 'k-' || $1 || 'identity' OR (project, environment) <> ('shop', 'test')
	) all_rows(r) WHERE r NOT LIKE '%' || $2 || '%'`
	read := func() (text string) {
		if err := g.db.QueryRow(t.Context(), rows, anna, verification.ErasedSubject).Scan(&text); err != nil {
			t.Fatal(err)
		}
		return text
	}
	before := read()
	if e := g.erase(); e.Verifications != 1 || e.Deliveries != 0 {
		t.Errorf("the erasure is %+v", e)
	}
	if after := read(); after != before || strings.Count(before, "\n") < 20 {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
}
