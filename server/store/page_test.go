package store_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/verification"
)

// TestAPageReadsItsRangeOnly looks at what finds the rows: a range of an index,
// or a filter over everything that the tenant has.
func TestAPageReadsItsRangeOnly(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), pgtest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	// Lists are planned with their values: TestListsArePlannedForTheirValues.
	if _, err := conn.Exec(t.Context(), fill+"; SET plan_cache_mode = force_custom_plan"); err != nil {
		t.Fatal(err)
	}
	const (
		first  = "'00000000-0000-7000-8000-000000001000'"
		before = "'00000000-0000-7000-8000-000000001100'"
		all    = "'ffffffff-ffff-ffff-ffff-ffffffffffff'"
		none   = "'00000000-0000-0000-0000-000000000000'"
	)
	statements := generated(t)
	for statement, cases := range map[string]map[string]struct {
		args []string
		by   []string
	}{
		"verificationListByFlow": {
			"a flow that has none": {[]string{"'shop'", "'test'", "'{}'", "NULL", "NULL", "'nope'", none, all, "50"}, []string{"(flow = "}},
			"a flow and a time":    {[]string{"'shop'", "'test'", "'{}'", "NULL", "NULL", "'identity'", first, before, "50"}, []string{"(id >= ", "(id < "}},
		},
		"verificationList": {
			"a time, and a state that none has": {[]string{"'shop'", "'test'", "'{failed}'", "NULL", "NULL", first, before, "50"}, []string{"(id >= ", "(id < "}},
			"a small tenant":                    {[]string{"'rival'", "'test'", "'{}'", "NULL", "NULL", none, all, "50"}, []string{"(project = "}},
		},
		"verificationListBySubject": {
			"a subject and a time": {[]string{"'shop'", "'test'", "'{}'", "NULL", "NULL", "'s7'", first, before, "''", "50"}, []string{"(subject = ", "(id >= ", "(id < "}},
		},
		"auditEntryList": {
			"a late page":    {[]string{"'shop'", "'test'", first, "''", "''", "50"}, []string{"(id < "}},
			"a small tenant": {[]string{"'rival'", "'test'", all, "''", "''", "50"}, []string{"(project = "}},
		},
	} {
		if _, err := conn.Exec(t.Context(), "PREPARE "+statement+" AS "+statements[statement]); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
		for name, c := range cases {
			plan := explain(t, conn, statement, c.args)
			_, condition, _ := strings.Cut(plan, "Index Cond: ")
			condition, _, _ = strings.Cut(condition, "\n")
			for _, part := range c.by {
				if !strings.Contains(condition, part) {
					t.Errorf("%s, %s: no range by %q in:\n%s", statement, name, part, plan)
				}
			}
		}
	}
}

func TestListsArePlannedForTheirValues(t *testing.T) {
	t.Parallel()
	s := open(t, with(t, pgtest.New(t), "pool_max_conns", "1"))
	v := insert(t, s, nil)
	for range plans {
		if _, err := s.Get(t.Context(), shop, v.ID); err != nil {
			t.Fatal(err)
		}
		for _, q := range []verification.ListQuery{{}, {Flow: "identity"}, {Subject: "u1"}} {
			q.Scope, q.Limit = shop, 1
			if vs, err := s.List(t.Context(), q); err != nil || len(vs) != 1 {
				t.Fatalf("%+v: %d rows (%v)", q, len(vs), err)
			}
		}
		audit(t, s, verification.AuditQuery{Scope: shop})
	}
	for query, want := range map[string]int64{
		"VerificationGet": 1, "VerificationList": 0, "VerificationListByFlow": 0, "VerificationListBySubject": 0, "AuditEntryList": 0,
	} {
		if n, err := s.Prepared(t.Context(), query); err != nil || n != want {
			t.Errorf("%s is prepared %d times (%v), want %d: Postgres plans what is prepared without its values", query, n, err, want)
		}
	}
}

// idAt returns an id that was made at the given time.
func idAt(at time.Time) uuid.UUID {
	id := uuid.Must(uuid.NewV7())
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(at.UnixMilli()))
	copy(id[:6], ms[2:])
	return id
}

func TestTimesBoundTheIdsThatAreRead(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.New(t))
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	// All were created at noon; their ids say how far off their node's other
	// reading of the clock was.
	made := map[time.Duration]uuid.UUID{}
	for _, off := range []time.Duration{-time.Hour, -50 * time.Second, 0, 50 * time.Second, time.Hour} {
		made[off] = insert(t, s, func(v *verification.Verification) {
			v.ID, v.CreateTime = idAt(noon.Add(off)), noon
			v.NonceHash = slices.Concat(v.ID[:], v.ID[:])
		}).ID
	}
	near := []uuid.UUID{made[50*time.Second], made[0], made[-50*time.Second]}
	early, late := append(slices.Clone(near), made[-time.Hour]), append([]uuid.UUID{made[time.Hour]}, near...)
	// A row an hour off does not exist: where it is missing, it was not read.
	for name, c := range map[string]struct {
		from, until time.Time
		want        []uuid.UUID
	}{
		"from":                 {noon, time.Time{}, late},
		"until":                {time.Time{}, noon.Add(time.Microsecond), early},
		"both":                 {noon, noon.Add(time.Microsecond), near},
		"until, exactly":       {time.Time{}, noon, nil},
		"from, exactly":        {noon.Add(time.Microsecond), time.Time{}, nil},
		"the first of times":   {time.Time{}.Add(time.Second), noon.Add(time.Microsecond), early},
		"until before 1970":    {time.Time{}, time.Unix(-1, 0), nil},
		"from the end of time": {time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC), time.Time{}, nil},
		"until the end":        {noon, time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC), late},
	} {
		for _, q := range []verification.ListQuery{{}, {Flow: "identity"}, {Subject: "u1"}} {
			q.Scope, q.From, q.Until, q.Limit = shop, c.from, c.until, 2
			if got := page(t, s, q, nil); !slices.Equal(got, c.want) {
				t.Errorf("%s, flow %q, subject %q: %v, want %v", name, q.Flow, q.Subject, got, c.want)
			}
		}
	}
	if !slices.IsSortedFunc(early, func(a, b uuid.UUID) int { return bytes.Compare(b[:], a[:]) }) {
		t.Error("the ids of this test do not sort by their times")
	}
}
