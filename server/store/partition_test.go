package store_test

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/store"
	"github.com/verigate/verigate/server/verification"
)

// Partitions cannot be made in the past, so these tests look back from later.
const (
	month = 4 * 7 * 24 * time.Hour
	later = 3 * month
)

func makePartitions(t *testing.T, s *store.Store, now time.Time) int {
	t.Helper()
	made, err := s.MakePartitions(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func dropPartitions(t *testing.T, s *store.Store, before time.Time) []string {
	t.Helper()
	dropped, err := s.DropPartitions(t.Context(), before)
	if err != nil {
		t.Fatal(err)
	}
	return dropped
}

// over is a verification that was decided, with its two transitions.
func over(t *testing.T, s *store.Store, dsn string) *verification.Verification {
	t.Helper()
	v := insert(t, s, nil)
	if err := step(t.Context(), s, v.ID); err != nil {
		t.Fatal(err)
	}
	exec(t, dsn, `UPDATE verification SET state = 'approved', final_time = now() WHERE id = $1`, v.ID)
	return v
}

func histories(t *testing.T, s *store.Store, vs ...*verification.Verification) (lengths []int) {
	t.Helper()
	for _, v := range vs {
		timeline, err := s.Transitions(t.Context(), v.Scope, v.ID)
		if err != nil {
			t.Fatal(err)
		}
		lengths = append(lengths, len(timeline))
	}
	return lengths
}

func TestPartitionsAreMadeAheadOnce(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	s := open(t, dsn)
	at := time.Now().Add(later)
	var made [4]int
	var nodes sync.WaitGroup
	for i := range made {
		nodes.Go(func() { made[i], _ = s.MakePartitions(t.Context(), at) })
	}
	nodes.Wait()
	if again := makePartitions(t, s, at); slices.Max(made[:]) == 0 || again != 0 {
		t.Errorf("nodes made %v and then %d, want them made once", made, again)
	}
	const covered = `SELECT count(*) = 2 FROM (VALUES ('delivery'), ('transition')) p (name),
		LATERAL (SELECT FROM partitions_of(p.name) r WHERE r.first_id <= earliest_id($1) AND r.end_id > earliest_id($1)) c`
	for _, when := range []time.Time{at, at.Add(month), at.Add(2 * month)} {
		if !ask[bool](t, dsn, covered, when) {
			t.Errorf("nothing is there for %s", when)
		}
	}
}

// TestWhatCameWithoutAPartitionMovesToItsOwn is about nodes that came back after
// longer than partitions were made for.
func TestWhatCameWithoutAPartitionMovesToItsOwn(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	s := open(t, dsn)
	at := time.Now().Add(2 * later)
	v := insert(t, s, func(v *verification.Verification) { v.ID = idOf(t, dsn, at) })
	d := keep(t, s, func(d *verification.Delivery) { d.ID = idOf(t, dsn, at) })
	const where = `SELECT (SELECT tableoid::regclass FROM delivery WHERE id = $1) || ' ' || (SELECT tableoid::regclass FROM transition WHERE verification_id = $2)`
	if got := ask[string](t, dsn, where, d.ID, v.ID); got != "delivery_default transition_default" {
		t.Fatalf("they lie in %s", got)
	}
	since, err := s.TailStart(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	makePartitions(t, s, at)
	if got := ask[string](t, dsn, where, d.ID, v.ID); strings.Contains(got, "default") {
		t.Errorf("then they lie in %s", got)
	}
	if got := kept(t, s, d.ID); string(got.Body) != string(d.Body) || histories(t, s, v)[0] != 1 {
		t.Errorf("what moved reads %+v", got)
	}
	if changes, _, err := s.Tail(t.Context(), since); err != nil || len(changes) != 0 {
		t.Errorf("what moved is told as new: %v (%v)", changes, err)
	}
}

// idOf is a UUIDv7 of a time.
func idOf(t *testing.T, dsn string, at time.Time) uuid.UUID {
	t.Helper()
	id, bound := uuid.Must(uuid.NewV7()), ask[uuid.UUID](t, dsn, `SELECT earliest_id($1)`, at)
	copy(id[:6], bound[:6])
	return id
}

func TestHistoryIsDroppedInPartitions(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	s := open(t, dsn)
	v, d := over(t, s, dsn), keep(t, s, nil)
	if n, err := s.SequenceEvents(t.Context()); err != nil || n != 2 {
		t.Fatalf("%d got a place (%v)", n, err)
	}
	exec(t, dsn, `DELETE FROM event_position`)
	before := time.Now().Add(later)
	if got := dropPartitions(t, s, time.Now()); len(got) != 0 {
		t.Errorf("what is of today was dropped: %v", got)
	}
	if got := dropPartitions(t, s, before); !slices.Contains(got, "transition_first") || slices.Contains(got, "delivery_first") {
		t.Errorf("dropped are %v, want the transitions; the delivery has its content", got)
	}
	if got := kept(t, s, d.ID); string(got.Body) != string(d.Body) {
		t.Errorf("the delivery reads %+v", got)
	}
	purge(t, s, before, 10)
	if got := dropPartitions(t, s, before); !slices.Equal(got, []string{"delivery_first"}) {
		t.Errorf("then %v was dropped, want the deliveries", got)
	}
	_, err := s.Delivery(t.Context(), shop, d.ID)
	wantKind(t, err, verification.KindNotFound)
	if got, err := s.Get(t.Context(), shop, v.ID); err != nil || got.Version != 2 || histories(t, s, v)[0] != 0 {
		t.Errorf("the verification reads %+v (%v)", got, err)
	}
	// What still happens to it has a place, and is told.
	exec(t, dsn, `UPDATE verification SET state = 'pending', final_time = NULL WHERE id = $1`, v.ID)
	if err := step(t.Context(), s, v.ID); err != nil || histories(t, s, v)[0] != 1 {
		t.Errorf("a late transition: %v, then there are %v", err, histories(t, s, v))
	}
	if n, err := s.SequenceEvents(t.Context()); err != nil || n != 1 {
		t.Errorf("%d got a place (%v), want the late one", n, err)
	}
}

func TestNothingIsDroppedWhileAVerificationIsOpen(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	s := open(t, dsn)
	v := insert(t, s, nil)
	if got := dropPartitions(t, s, time.Now().Add(later)); len(got) != 0 || histories(t, s, v)[0] != 1 {
		t.Errorf("dropped are %v", got)
	}
}

// TestWhatEventsAndCallbacksTellOfIsKept drops the rest around it.
func TestWhatEventsAndCallbacksTellOfIsKept(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	s := open(t, dsn)
	gone, called, placed := over(t, s, dsn), over(t, s, dsn), over(t, s, dsn)
	if n, err := s.SequenceEvents(t.Context()); err != nil || n != 6 {
		t.Fatalf("%d got a place (%v)", n, err)
	}
	fresh := over(t, s, dsn)
	exec(t, dsn, `DELETE FROM event_position WHERE verification_id <> $1`, placed.ID)
	exec(t, dsn, `INSERT INTO callback (id, project, environment, verification_id, version, channel, url, state, create_time, finish_time)
		VALUES (gen_random_uuid(), 'shop', 'test', $1, 2, 'events', '', 'dead', now(), now())`, called.ID)
	before := time.Now().Add(later)
	if got := dropPartitions(t, s, before); !slices.Contains(got, "transition_first") {
		t.Fatalf("dropped are %v", got)
	}
	if got := histories(t, s, gone, called, placed, fresh); !slices.Equal(got, []int{0, 2, 2, 2}) {
		t.Errorf("of them are left %v, want all of those that a callback or an event is about, or that have none yet", got)
	}
	page, err := s.Events(t.Context(), verification.EventQuery{Scope: shop, Limit: 10})
	if err != nil || len(page.Records) != 2 {
		t.Errorf("%d events are left (%v), want two", len(page.Records), err)
	}
	if n, err := s.SequenceEvents(t.Context()); err != nil || n != 2 {
		t.Errorf("%d got a place after they moved (%v), want the two that had none", n, err)
	}
	strays := func() int64 {
		t.Helper()
		n, err := s.PurgeStrays(t.Context(), before, 10)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := strays(); n != 0 {
		t.Errorf("%d strays were purged that something tells of", n)
	}
	exec(t, dsn, `DELETE FROM event_position`)
	if n := strays(); n != 4 || !slices.Equal(histories(t, s, called, placed, fresh), []int{2, 0, 0}) {
		t.Errorf("%d strays were purged, want those of two", n)
	}
	exec(t, dsn, `DELETE FROM callback`)
	if early, err := s.PurgeStrays(t.Context(), time.Now().Add(-time.Hour), 10); early != 0 || err != nil || strays() != 2 {
		t.Errorf("%d were purged too early (%v)", early, err)
	}
}

// TestADropWaitsForNobodyForLong holds the table as a long transaction does.
func TestADropWaitsForNobodyForLong(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	s := open(t, dsn)
	v := over(t, s, dsn)
	reader := look(t, dsn)
	reader.exec(`BEGIN`)
	reader.exec(`SELECT FROM delivery`)
	reader.exec(`SELECT FROM transition`)
	_, err := s.DropPartitions(t.Context(), time.Now().Add(later))
	wantKind(t, err, verification.KindUnavailable)
	if got := histories(t, s, v)[0]; got != 2 {
		t.Errorf("%d transitions are left, want both", got)
	}
	reader.exec(`COMMIT`)
	if got := dropPartitions(t, s, time.Now().Add(later)); len(got) < 2 {
		t.Errorf("then dropped are %v", got)
	}
}

func TestNodesThatDropAtOnceDropEachPartitionOnce(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	s := open(t, dsn)
	makePartitions(t, s, time.Now().Add(later))
	var mu sync.Mutex
	times := map[string]int{}
	var nodes sync.WaitGroup
	for range 4 {
		nodes.Go(func() {
			dropped, err := s.DropPartitions(t.Context(), time.Now().Add(2*later))
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, name := range dropped {
				times[name]++
			}
		})
	}
	nodes.Wait()
	if once := slices.Collect(maps.Values(times)); len(once) < 4 || slices.Max(once) > 1 {
		t.Errorf("partitions were dropped so often: %v", times)
	}
	if left := ask[int](t, dsn, `SELECT count(*)::int FROM partitions_of('delivery') p WHERE p.end_id <= earliest_id($1)`, time.Now().Add(2*later)); left != 0 && len(dropPartitions(t, s, time.Now().Add(2*later))) == 0 {
		t.Errorf("%d are left that nobody drops", left)
	}
}
