package main

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func TestAnErasedSubjectIsGone(t *testing.T) {
	t.Parallel()
	for name, way := range ways() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newSite(t).serve(t)
			id := r.begin(t, "person-to-forget", "order-to-forget")
			r.webhook(t, "ver_to_forget")
			r.begin(t, "person-to-forget", "order-2")
			other := r.begin(t, "person-to-keep", "order-3")

			way(r, t, "erase", "--subject", "person-to-forget", "--reason", "ticket-4711", "--yes").
				want(t, exitPass, "erased 2 verifications (1 of them open, now canceled) and 1 deliveries\nerasure ", "")

			shown := runBinary(t, r.dir, r.as(r.public, r.backend), "", "get", id).want(t, exitPass, "approved", "")
			if strings.Contains(shown.out, "to-forget") {
				t.Errorf("something of the subject is left:\n%s", shown.out)
			}
			runBinary(t, r.dir, r.as(r.public, r.backend), "", "get", other).want(t, exitPass, "person-to-keep", "")
			audit := way(r, t, "audit", "--action", "subject.erase").want(t, exitPass, "reason=ticket-4711", "")
			for _, output := range []string{audit.out, r.stderr.String(), r.dump(t)} {
				if strings.Contains(output, "to-forget") || strings.Contains(output, "to_forget") {
					t.Errorf("something of the subject is left:\n%s", output)
				}
			}
			way(r, t, "erase", "--subject", "person-to-forget", "--reason", "ticket-4711", "--yes").want(t, exitPass, "erased 0 verifications", "")
		})
	}
}

// dump is every table that may hold something of a person, as text.
func (s *site) dump(t *testing.T) string {
	t.Helper()
	conn := s.connect(t)
	var text strings.Builder
	for _, table := range []string{"verification", "transition", "delivery", "provider_ref", "audit_entry"} {
		rows, err := conn.Query(t.Context(), "SELECT r::text FROM "+table+" r")
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString(strings.Join(lines, "\n"))
	}
	return text.String()
}

// connect opens the site's database for a look at it.
func (s *site) connect(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func TestASubjectIsReadFromStandardInput(t *testing.T) {
	t.Parallel()
	r := newSite(t).serve(t)
	env := r.as(r.operator, r.onCall)
	erase := []string{"erase", "--subject", "-", "--reason", "ticket-1", "--yes"}
	r.begin(t, "u1", "order-1")
	runBinary(t, r.dir, env, "u1\r\n", erase...).want(t, exitPass, "erased 1 verifications", "")
	// Only the end of the line is not part of it.
	r.begin(t, " u2 ", "order-2")
	runBinary(t, r.dir, env, "u2\n", erase...).want(t, exitPass, "erased 0 verifications", "")
	runBinary(t, r.dir, env, " u2 ", erase...).want(t, exitPass, "erased 1 verifications", "")

	runBinary(t, r.dir, env, "", erase...).want(t, exitUsage, "", "--subject and --reason")
	runBinary(t, r.dir, env, "\n", erase...).want(t, exitUsage, "", "--subject and --reason")
	runBinary(t, r.dir, env, "u1\nu2\n", erase...).want(t, exitPass, "erased 0 verifications", "")
	runBinary(t, r.dir, env, strings.Repeat("ü", 300), erase...).want(t, exitUsage, "", "at most 256 characters")
	runBinary(t, r.dir, env, strings.Repeat("ü", 3000), erase...).want(t, exitUsage, "", "at most 256 characters")
}

// An erasure of many that is interrupted in the middle keeps what it did, and a
// second one does the rest.
func TestCtrlCEndsAnErasureAndASecondOneFinishesIt(t *testing.T) {
	t.Parallel()
	const verifications, held = 300, 130
	for name, way := range map[string]func(r *runningSite, t *testing.T) *process{
		"over the server": func(r *runningSite, t *testing.T) *process {
			t.Helper()
			return launch(t, r.dir, r.as(r.operator, r.onCall), "erase", "--subject", "u1", "--reason", "t", "--yes")
		},
		"on the database itself": func(r *runningSite, t *testing.T) *process {
			t.Helper()
			return launch(t, r.dir, r.env, "erase", "--subject", "u1", "--reason", "t", "--yes", "--project", "acme", "--environment", "live")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			// A row that somebody holds is waited for, not given up.
			s.env = append(s.env, "VERIGATE_DATABASE_URL="+s.dsn+"&lock_timeout=0&statement_timeout=0")
			r := s.serve(t)
			r.beginMany(t, "u1", verifications)
			release := r.hold(t, "verification", held)
			erasing := way(r, t)
			r.untilSomebodyWaits(t, "VerificationLockSubject")
			if err := erasing.cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
			if code := erasing.wait(t); code != exitInterrupted || !strings.Contains(erasing.stderr.String(), "the same command does the rest") {
				t.Errorf("ctrl-C ended with %d: %s", code, erasing.stderr)
			}
			release()
			left := r.count(t, "SELECT count(*) FROM verification WHERE subject = 'u1'")
			if left <= verifications-held || left >= verifications {
				t.Errorf("%d of %d are left; whole batches before number %d should be erased", left, verifications, held)
			}
			want := fmt.Sprintf("erased %d verifications", left)
			r.ask(t, "erase", "--subject", "u1", "--reason", "t", "--yes").want(t, exitPass, want, "")
			if left := r.count(t, "SELECT count(*) FROM verification WHERE subject = 'u1'"); left != 0 {
				t.Errorf("%d are left", left)
			}
			// Every batch is in the audit log, those before ctrl-C too.
			if told := r.count(t, "SELECT sum((details->>'verifications')::int) FROM audit_entry WHERE action = 'subject.erase'"); told != verifications {
				t.Errorf("the audit log tells of %d, want %d", told, verifications)
			}
		})
	}
}

func (r *runningSite) beginMany(t *testing.T, subject string, n int) {
	t.Helper()
	for i := range n {
		r.begin(t, subject, fmt.Sprintf("order-%d", i))
	}
}

// hold locks the row of a table with a number, counted by their ids, until it
// is released.
func (s *site) hold(t *testing.T, table string, number int) (release func()) {
	t.Helper()
	tx, err := s.connect(t).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var id string
	if err := tx.QueryRow(t.Context(), "SELECT id::text FROM "+table+" ORDER BY id OFFSET $1 LIMIT 1", number-1).Scan(&id); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "SELECT 1 FROM "+table+" WHERE id = $1::uuid FOR UPDATE", id); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := tx.Rollback(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// untilSomebodyWaits returns when a query of this database waits for a row.
func (s *site) untilSomebodyWaits(t *testing.T, query string) {
	t.Helper()
	const waiting = `SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%' || $1::text || '%'`
	deadline, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	conn := s.connect(t)
	for {
		var sessions int
		if err := conn.QueryRow(deadline, waiting, query).Scan(&sessions); err != nil {
			t.Fatalf("nobody waits for the row: %v", err)
		}
		if sessions > 0 {
			return
		}
		<-tick.C
	}
}

func (s *site) count(t *testing.T, query string) int {
	t.Helper()
	var n int
	if err := s.connect(t).QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
