package store_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/store"
	"github.com/verigate/verigate/server/verification"
)

// tryExec runs a statement and returns what the database says.
func tryExec(t testing.TB, dsn, statement string, args ...any) error {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	_, err = conn.Exec(t.Context(), statement, args...)
	return err
}

func record(t testing.TB, s *store.Store, scope verification.Scope, action verification.AuditAction, target string) uuid.UUID {
	t.Helper()
	e, err := verification.NewAuditEntry(scope, operator, action, target, map[string]string{"a": "b"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AddAudit(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	return e.ID
}

func TestTheAuditLogCannotBeChanged(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	s := open(t, dsn)
	id := record(t, s, shop, verification.AuditErase, "t1")
	for _, statement := range []string{
		`UPDATE audit_entry SET actor = 'nobody'`,
		`UPDATE audit_entry SET actor = 'nobody' WHERE false`,
		`DELETE FROM audit_entry`,
		`TRUNCATE audit_entry`,
		`TRUNCATE api_key, audit_entry CASCADE`,
		`INSERT INTO audit_entry SELECT * FROM audit_entry ON CONFLICT (id) DO UPDATE SET actor = 'nobody'`,
	} {
		if err := tryExec(t, dsn, statement); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v, want a refusal that says why", statement, err)
		}
	}
	if enabled := ask[string](t, dsn, `SELECT tgenabled::text FROM pg_trigger WHERE tgname = 'audit_entry_append_only'`); enabled != "A" {
		t.Errorf("the trigger is enabled %q, want A: replication's way of switching triggers off reaches it", enabled)
	}
	got := audit(t, s, verification.AuditQuery{Scope: shop})
	if len(got) != 1 || got[0].ID != id || got[0].Operator != operator || got[0].Details["a"] != "b" || got[0].Target != "t1" || got[0].Scope != shop {
		t.Errorf("the log is %+v", got)
	}
}

func TestTheAuditLogRefusesWhatNobodyDoes(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	for name, row := range map[string]string{
		"an unknown action":             `'shop', 'test', 'coffee.make'`,
		"a project without environment": `'shop', '', 'subject.erase'`,
		"an environment of no project":  `'', 'live', 'subject.erase'`,
		"an unknown environment":        `'shop', 'staging', 'subject.erase'`,
	} {
		err := tryExec(t, dsn, `INSERT INTO audit_entry (id, create_time, actor, project, environment, action)
			VALUES (gen_random_uuid(), now(), 'a', `+row+`)`)
		if err == nil || !strings.Contains(err.Error(), "_known") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAuditPages(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.New(t))
	live := verification.Scope{Project: "shop", Environment: verification.Live}
	reload, erase := verification.AuditReload, verification.AuditErase
	mine := []uuid.UUID{record(t, s, shop, erase, "t1")}
	record(t, s, live, erase, "t1")
	whole := record(t, s, verification.Scope{}, reload, "")
	record(t, s, verification.Scope{Project: "rival", Environment: verification.Test}, erase, "t1")
	mine = append(mine, whole, record(t, s, shop, erase, "t2"), record(t, s, shop, verification.AuditKeyCreate, "t2"))
	slices.Reverse(mine)
	for name, c := range map[string]struct {
		q    verification.AuditQuery
		want []uuid.UUID
	}{
		"the scope's and the whole gateway's": {verification.AuditQuery{Scope: shop}, mine},
		"in pages":                            {verification.AuditQuery{Scope: shop, Limit: 2, Before: mine[0]}, mine[1:3]},
		"the last page":                       {verification.AuditQuery{Scope: shop, Before: mine[2]}, mine[3:]},
		"by action":                           {verification.AuditQuery{Scope: shop, Action: string(reload)}, []uuid.UUID{whole}},
		"by target":                           {verification.AuditQuery{Scope: shop, Target: "t2"}, mine[:2]},
		"by both":                             {verification.AuditQuery{Scope: shop, Target: "t2", Action: string(erase)}, mine[1:2]},
		"the whole gateway's alone":           {verification.AuditQuery{}, []uuid.UUID{whole}},
	} {
		var got []uuid.UUID
		for _, e := range audit(t, s, c.q) {
			got = append(got, e.ID)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// The process writes an entry again when the answer to the first time was lost.
func TestAnEntryThatIsWrittenAgainIsThereOnce(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.New(t))
	entry, err := verification.NewAuditEntry(shop, verification.Operator{Actor: "signal"}, verification.AuditReload, "", nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.AddAudit(t.Context(), entry); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := s.AuditEntries(t.Context(), verification.AuditQuery{Scope: shop, Limit: 10})
	if err != nil || len(entries) != 1 {
		t.Errorf("%d entries, %v; want one", len(entries), err)
	}
}
