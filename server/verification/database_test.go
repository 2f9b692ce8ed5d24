package verification_test

import (
	"crypto/sha256"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/verification"
)

func TestTheDatabaseKnowsExactlyOurWords(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	for _, c := range []struct{ constraint, file, typeName string }{
		{"state_known", "state.go", "State"},
		{"effect_known", "event.go", "Effect"},
		{"source_known", "event.go", "Source"},
		{"rung_known", "event.go", "Rung"},
		{"match_known", "event.go", "Match"},
		{"environment_known", "verification.go", "Environment"},
		{"callback_state_known", "callback.go", "CallbackState"},
		{"channel_known", "record.go", "Channel"},
		{"action_known", "audit.go", "AuditAction"},
	} {
		want := declared(t, c.file, c.typeName)
		slices.Sort(want)
		for table, got := range wordsInCheck(t, g, c.constraint) {
			// A ref is bound by some match: the empty one cannot be.
			if table == "provider_ref" {
				got = append(got, "")
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%s of table %s lists %q, the code says %q", c.constraint, table, got, want)
			}
		}
	}
}

// wordsInCheck returns the words of a CHECK by the table that has it.
func wordsInCheck(t *testing.T, g *gateway, constraint string) map[string][]string {
	t.Helper()
	rows, err := g.db.Query(t.Context(), `SELECT conrelid::regclass::text, pg_get_constraintdef(oid)
		FROM pg_constraint WHERE conname = $1 AND contype = 'c'`, constraint)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	words := map[string][]string{}
	for rows.Next() {
		var table, definition string
		if err := rows.Scan(&table, &definition); err != nil {
			t.Fatal(err)
		}
		for _, quoted := range regexp.MustCompile(`'([^']*)'::text`).FindAllStringSubmatch(definition, -1) {
			words[table] = append(words[table], quoted[1])
		}
	}
	if rows.Err() != nil || len(words) == 0 {
		t.Fatalf("no table has the constraint %s (%v)", constraint, rows.Err())
	}
	return words
}

func TestTheDatabaseRefusesAHalfFinishedRow(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	id := g.start("identity")
	for _, state := range verification.States() {
		for _, final := range []bool{true, false} {
			_, err := g.db.Exec(t.Context(), `UPDATE verification SET state = $2,
				final_time = CASE WHEN $3 THEN now() END WHERE id = $1`, id, string(state), final)
			refusal := err != nil && strings.Contains(err.Error(), "final_exactly_when_terminal")
			if ok := state.Terminal() == final; ok && err != nil || !ok && !refusal {
				t.Errorf("state %s with a final time: %t gives %v", state, final, err)
			}
		}
	}
	for _, statement := range []string{
		`UPDATE verification SET state = 'approved_by_magic' WHERE id = $1`,
		`UPDATE verification SET version = 0 WHERE id = $1`,
		`UPDATE verification SET grace_until = expire_time - interval '1 second' WHERE id = $1`,
		`UPDATE transition SET from_state = '' WHERE verification_id = $1 AND version = 2`,
		`INSERT INTO transition SELECT * FROM transition WHERE verification_id = $1 AND version = 1`,
	} {
		if _, err := g.db.Exec(t.Context(), statement, id); err == nil {
			t.Errorf("the database took: %s", statement)
		}
	}
}

// roads say which events bring a fresh row into each state.
func roads() map[verification.State][]verification.EventKind {
	return map[verification.State][]verification.EventKind{
		created:    nil,
		pending:    {verification.SessionOpened},
		processing: {verification.SessionOpened, verification.PersonSubmitted},
		inReview:   {verification.ReviewStarted},
		approved:   {verification.SessionOpened, passed},
		declined:   {rejected},
		expired:    {verification.LifetimeEnded},
		canceled:   {verification.CancelRequested},
		failed:     {verification.ProcessingFailed},
	}
}

// row inserts a verification as Start leaves it before the provider is asked.
func (g *gateway) row(graceUntil time.Time) uuid.UUID {
	g.t.Helper()
	id, now := uuid.Must(uuid.NewV7()), g.clock.Now()
	nonce := sha256.Sum256(id[:])
	v := &verification.Verification{
		ID: id, Scope: shop, Flow: "identity", Connection: "human", Product: "identity", Subject: "u1",
		State: created, Version: 1, NonceHash: nonce[:],
		CreateTime: now.Add(-lifetime), UpdateTime: now, ExpireTime: graceUntil.Add(-grace), GraceUntil: graceUntil,
	}
	err := g.store.InTx(g.t.Context(), func(tx verification.Tx) error {
		return tx.Create(g.t.Context(), v, &verification.Transition{
			VerificationID: id, Version: 1, Scope: shop, To: created,
			Event: verification.Started, Source: verification.SourceCaller, CreateTime: v.CreateTime,
		})
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return id
}

func TestEveryStateMeetsEveryEventOnPostgres(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	for _, state := range verification.States() {
		for _, event := range verification.EventKinds() {
			for _, inGrace := range []bool{true, false} {
				name := fmt.Sprintf("%s meets %s, in grace %t", state, event, inGrace)
				t.Run(name, func(t *testing.T) { meet(t, g, state, event, inGrace) })
			}
		}
	}
}

func meet(t *testing.T, g *gateway, state verification.State, event verification.EventKind, inGrace bool) {
	t.Helper()
	graceUntil := g.clock.Now().Add(time.Microsecond)
	if !inGrace {
		graceUntil = g.clock.Now()
	}
	id := g.row(graceUntil)
	named := func(kind verification.EventKind) *verification.Delivery {
		d := withID(g.webhook(kind), id.String())
		d.Event.ReasonCodes = []string{"reason_of_" + string(kind)}
		return d
	}
	for _, step := range roads()[state] {
		if effect, err := g.Deliver(t.Context(), named(step)); err != nil || effect != applied {
			t.Fatalf("the way to %s: %s is %s (%v)", state, step, effect, err)
		}
	}
	before := g.get(id)
	if before.State != state {
		t.Fatalf("the road leads to %s, want %s", before.State, state)
	}
	next, effect := verification.Next(state, event, inGrace)
	d := named(event)
	got, err := g.Deliver(t.Context(), d)
	if err != nil || got != effect {
		t.Fatalf("the effect is %s (%v), want %s", got, err, effect)
	}
	g.stored(d, effect)
	after, timeline := g.get(id), g.timeline(id)
	if after.State != next || after.FinalTime.IsZero() == next.Terminal() {
		t.Errorf("it led to %s, final time %s; want %s", after.State, after.FinalTime, next)
	}
	if effect != applied {
		if after.Version != before.Version || !slices.Equal(after.ReasonCodes, before.ReasonCodes) {
			t.Errorf("an event that was %s changed the row to version %d, reasons %q", effect, after.Version, after.ReasonCodes)
		}
		return
	}
	last := timeline[len(timeline)-1]
	if after.Version != before.Version+1 || last.From != state || last.To != next || last.Event != event ||
		last.Source != verification.SourceProvider || last.Rung != verification.RungPayloadKey ||
		last.Match != verification.Exact || last.DeliveryID != d.ID || last.Scope != shop ||
		!slices.Equal(last.ReasonCodes, d.Event.ReasonCodes) || !slices.Equal(after.ReasonCodes, d.Event.ReasonCodes) {
		t.Errorf("version %d, recorded as %+v", after.Version, last)
	}
}
