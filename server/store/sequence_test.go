package store_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/store"
	"github.com/verigate/verigate/server/verification"
)

func sequence(t *testing.T, s *store.Store, want int64) {
	t.Helper()
	given, err := s.SequenceEvents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if given != want {
		t.Fatalf("%d places were given, want %d", given, want)
	}
}

func wantEvents(t *testing.T, d database, want ...string) {
	t.Helper()
	if got := d.events(); !slices.Equal(got, want) {
		t.Fatalf("the order of events is %v, want %v", got, want)
	}
}

func TestAnEventWhoseTransactionWasHeldOpenComesAfterwards(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	s, d := open(t, dsn), look(t, dsn)
	late, written, release := fresh(), make(chan struct{}), make(chan struct{})
	committed := make(chan error, 1)
	go func() {
		committed <- s.InTx(t.Context(), func(tx verification.Tx) error {
			err := create(t.Context(), tx, late)
			close(written)
			<-release
			return err
		})
	}()
	<-written
	first := insert(t, s, nil)
	sequence(t, s, 1)
	second := insert(t, s, nil)
	sequence(t, s, 1)
	wantEvents(t, d, verification.EventID(first.ID, 1), verification.EventID(second.ID, 1))
	close(release)
	if err := <-committed; err != nil {
		t.Fatal(err)
	}
	third := insert(t, s, func(v *verification.Verification) { v.CreateTime = v.CreateTime.Add(time.Second) })
	sequence(t, s, 2)
	sequence(t, s, 0)
	wantEvents(t, d, verification.EventID(first.ID, 1), verification.EventID(second.ID, 1),
		verification.EventID(late.ID, 1), verification.EventID(third.ID, 1))
}

func TestAnIdleGatewayDoesNotWriteToTheOrder(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	s, d := open(t, dsn), look(t, dsn)
	insert(t, s, nil)
	sequence(t, s, 1)
	if n, err := s.QueueCallbacks(t.Context(), time.Now(), 10); err != nil || n != 1 {
		t.Fatalf("%d events were looked at (%v), want 1", n, err)
	}
	// A lock leaves its mark in xmax.
	const row = "SELECT concat_ws(' ', xmin, xmax, ctid, position, snapshot, queued) FROM event_head"
	before := d.text(row)
	for range 3 {
		sequence(t, s, 0)
		if n, err := s.QueueCallbacks(t.Context(), time.Now(), 10); err != nil || n != 0 {
			t.Fatalf("%d events were looked at (%v), want none", n, err)
		}
	}
	if after := d.text(row); after != before {
		t.Errorf("an idle gateway writes: the row was %s and is %s", before, after)
	}
	// Whatever else the database does makes the snapshot old.
	d.exec("UPDATE event_head SET snapshot = '3:3:'")
	d.exec("UPDATE transition SET xid = '2'")
	d.exec(`DO $$ BEGIN FOR i IN 1..10100 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$`)
	// Somebody else's open transaction on the same server may make it look young
	// for a moment.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for d.text("SELECT snapshot FROM event_head") == "3:3:" {
		if ctx.Err() != nil {
			t.Fatal("an old snapshot stays, and every look reads further back")
		}
		sequence(t, s, 0)
	}
}

func TestTheOrderMissesAndDoublesNothingWithTwoNodesAndManyWriters(t *testing.T) {
	t.Parallel()
	const writers, rounds = 4, 12
	dsn := pgtest.New(t)
	nodes := []*store.Store{open(t, dsn), open(t, dsn)}
	d := look(t, dsn)
	var work sync.WaitGroup
	var mu sync.Mutex
	ids := map[uuid.UUID]bool{}
	for w := range writers {
		work.Go(func() {
			for range rounds {
				s, v := nodes[w%len(nodes)], fresh()
				err := s.InTx(t.Context(), func(tx verification.Tx) error { return create(t.Context(), tx, v) })
				for range 2 {
					if err == nil {
						err = step(t.Context(), s, v.ID)
					}
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				ids[v.ID] = true
				mu.Unlock()
			}
		})
	}
	written := make(chan struct{})
	go func() { work.Wait(); close(written) }()
	var given [2]int64
	var sequencers sync.WaitGroup
	for i, s := range nodes {
		sequencers.Go(func() {
			for running := true; running; {
				select {
				case <-written:
					running = false
				default:
				}
				n, err := s.SequenceEvents(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				given[i] += n
			}
		})
	}
	// Meanwhile a reader follows: what it has seen must stay the beginning.
	var seen []string
	for following := true; following; {
		select {
		case <-written:
			following = false
		default:
		}
		now := d.events()
		if len(now) < len(seen) || !slices.Equal(now[:len(seen)], seen) {
			t.Fatal("an event appeared before one that was there already")
		}
		seen = now
	}
	sequencers.Wait()
	last, err := nodes[0].SequenceEvents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if all := given[0] + given[1] + last; all != writers*rounds*3 {
		t.Errorf("%d places were given, want %d", all, writers*rounds*3)
	}
	versions := map[string]int{}
	for _, event := range d.events() {
		id := event[:36]
		versions[id]++
		if want := id + "." + strconv.Itoa(versions[id]); event != want {
			t.Errorf("the next event is %s, want %s", event, want)
		}
	}
	for id := range ids {
		if versions[id.String()] != 3 {
			t.Errorf("%d events of %s are in the order, want 3", versions[id.String()], id)
		}
	}
}

func TestVersionsKeepTheirOrderWhateverTheClocksSay(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	s, d := open(t, dsn), look(t, dsn)
	ahead := insert(t, s, func(v *verification.Verification) { v.CreateTime = v.CreateTime.Add(time.Hour) })
	other := insert(t, s, nil)
	if err := step(t.Context(), s, ahead.ID); err != nil {
		t.Fatal(err)
	}
	// The second node's clock is behind: it says that the step came first.
	d.exec("UPDATE transition SET create_time = create_time - interval '2 hours' WHERE version = 2")
	sequence(t, s, 3)
	wantEvents(t, d, verification.EventID(other.ID, 1), verification.EventID(ahead.ID, 1), verification.EventID(ahead.ID, 2))
}

func TestAfterADumpWasRestoredTheOrderGoesOn(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	s, d := open(t, dsn), look(t, dsn)
	placed := insert(t, s, nil)
	sequence(t, s, 1)
	unplaced := insert(t, s, nil)
	ancient := insert(t, s, func(v *verification.Verification) { v.CreateTime = v.CreateTime.Add(-48 * time.Hour) })
	// The rows and the snapshot are from a cluster that was far ahead.
	d.exec("UPDATE transition SET xid = '900000000'")
	d.exec("UPDATE event_head SET snapshot = '900000000:900000001:'")
	sequence(t, s, 1)
	sequence(t, s, 0)
	wantEvents(t, d, verification.EventID(placed.ID, 1), verification.EventID(unplaced.ID, 1))
	after := insert(t, s, nil)
	sequence(t, s, 1)
	wantEvents(t, d, verification.EventID(placed.ID, 1), verification.EventID(unplaced.ID, 1), verification.EventID(after.ID, 1))

	t.Run("what was purged is not told again when this cluster reaches its transaction", func(t *testing.T) {
		d.exec("UPDATE event_position SET position = position + 10")
		d.exec("UPDATE event_head SET position = position + 10")
		reached := d.text("SELECT pg_current_xact_id()::text")
		d.exec("UPDATE transition SET xid = $2::text::xid8 WHERE verification_id = $1", ancient.ID, reached)
		sequence(t, s, 0)
	})
}

func TestANodeWhoseClockIsBehindLosesNoEvents(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	s, d := open(t, dsn), look(t, dsn)
	insert(t, s, nil)
	sequence(t, s, 1)
	// Older places were purged.
	d.exec("UPDATE event_position SET position = position + 10")
	d.exec("UPDATE event_head SET position = position + 10")
	insert(t, s, func(v *verification.Verification) { v.CreateTime = v.CreateTime.Add(-25 * time.Hour) })
	sequence(t, s, 1)
}

func TestLookingForEventsDoesNotReadWhatIsOldWhileATransactionStaysOpen(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	s, d := open(t, dsn), look(t, dsn)
	held, err := look(t, dsn).conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = held.Rollback(t.Context()) }()
	if _, err := held.Exec(t.Context(), "SELECT pg_current_xact_id()"); err != nil {
		t.Fatal(err)
	}
	const many = 3000
	d.exec(`INSERT INTO transition (verification_id, version, project, environment, from_state, to_state, event, source, create_time)
		SELECT gen_random_uuid(), 1, 'shop', 'test', '', 'created', 'started', 'caller', now() FROM generate_series(1, $1::int)`, many)
	sequence(t, s, many)
	d.exec("ANALYZE transition")
	d.exec("PREPARE peek AS " + generated(t)["eventPeek"])
	explain := "EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF) EXECUTE peek('" + d.text("SELECT snapshot FROM event_head") + "', 10000)"
	rows, err := d.conn.Query(t.Context(), explain, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	if plan := strings.Join(lines, "\n"); !strings.Contains(plan, "Index") || strings.Contains(plan, "Rows Removed by Filter") {
		t.Errorf("it reads what has its place:\n%s", plan)
	}
}

func TestPurgedPlacesLeaveNoHole(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	s, d := open(t, dsn), look(t, dsn)
	var events []string
	for range 5 {
		events = append(events, verification.EventID(insert(t, s, nil).ID, 1))
	}
	sequence(t, s, 5)
	before := time.Now().Add(time.Hour)
	purge := func(limit int, want int64) {
		t.Helper()
		if n, err := s.PurgeEvents(t.Context(), before, limit); err != nil || n != want {
			t.Fatalf("%d rows were purged (%v), want %d", n, err, want)
		}
	}
	purge(10, 0) // no callbacks were queued yet
	if n, err := s.QueueCallbacks(t.Context(), time.Now(), 3); err != nil || n != 3 {
		t.Fatalf("%d events were looked at (%v), want 3", n, err)
	}
	purge(1, 1)
	purge(10, 1)
	wantEvents(t, d, events[2:]...)
	if n, err := s.QueueCallbacks(t.Context(), time.Now(), 3); err != nil || n != 2 {
		t.Fatalf("%d events were looked at (%v), want 2", n, err)
	}
	// One that is still to be kept keeps all that come after it.
	d.exec("UPDATE event_position SET create_time = create_time + interval '2 hours' WHERE position = 4")
	purge(10, 1)
	wantEvents(t, d, events[3:]...)
}

func TestALookThatTakesLongerThanARequestMayIsMadeWithMorePatience(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	insert(t, open(t, dsn), nil)
	s := open(t, with(t, dsn, "statement_timeout", "100"))
	slow, d := look(t, dsn), look(t, dsn)
	slow.exec("BEGIN")
	slow.exec("LOCK TABLE transition")
	done := make(chan error, 1)
	go func() {
		given, err := s.SequenceEvents(t.Context())
		if err == nil && given != 1 {
			t.Errorf("%d places were given, want 1", given)
		}
		done <- err
	}()
	// The second look is one of a transaction.
	const looking = `SELECT count(*)::text FROM pg_stat_activity
		WHERE datname = current_database() AND wait_event_type = 'Lock' AND xact_start < query_start`
	for d.text(looking) == "0" {
		select {
		case err := <-done:
			t.Fatalf("it ended with %v", err)
		default:
		}
	}
	slow.exec("COMMIT")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
