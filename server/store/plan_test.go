package store_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/verigate/verigate/server/pgdev/pgtest"
)

// plans is how often each statement is planned: after five times Postgres may
// change to a plan that knows no values.
const plans = 8

// unplanned are the statements whose plans nobody looks at, and why.
func unplanned() map[string]string {
	const (
		inserts = "inserts rows that it is given"
		oneRow  = "is about one row of a table of one"
		noTable = "reads no table"
	)
	return map[string]string{
		"aPIKeyInsert": inserts, "auditEntryInsert": inserts, "deliveryInsert": inserts, "transitionInsert": inserts,
		"verificationInsert": inserts, "callbackInsert": inserts, "callbackAttemptInsert": inserts,
		"batchTransitionInsert": inserts, "batchDeliveryInsert": inserts,
		"eventHeadGet": oneRow, "eventHeadRead": oneRow, "eventHeadLock": oneRow, "eventHeadAdvance": oneRow, "eventHeadQueued": oneRow,
		"transitionSnapshot": noTable, "transactionAllowTime": noTable, "transactionTakeTurn": noTable,
		"databaseIdentity": noTable, "hintNotify": noTable,
		"partitionMake":      "reads the catalog; once an hour",
		"partitionDrop":      "reads the catalog; once an hour, and what it looks into is about to go",
		"eventResync":        "reads all transitions, once after a dump was restored",
		"deliveryCountByKey": "reads every delivery, on an operator's request",
	}
}

// valued returns the statements that the store plans for their values each time.
// All others are prepared.
func valued(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, call := range regexp.MustCompile(`queries\.(\w+)\(ctx, s\.valued\(\)`).FindAllSubmatch(source, -1) {
			names = append(names, strings.ToLower(string(call[1][:1]))+string(call[1][1:]))
		}
	}
	if len(names) == 0 {
		t.Fatal("no statement is planned for its values")
	}
	return names
}

// growing are the tables that have no end, and their partitions. What is in a
// default partition are strays: it is next to empty.
var growing = regexp.MustCompile(`Seq Scan on ((?:verification|verification_lookup|transition|delivery|seen|provider_ref|return_hint|idempotency|` +
	`event_position|callback|callback_attempt|audit_entry|api_key)(?:_first|_[0-9]{8})?)\s`)

// TestNoQueryReadsAWholeTable plans every statement of gen/sqlc as the program
// does, over 20,000 rows in several partitions.
func TestNoQueryReadsAWholeTable(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), pgtest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	arguments, statements, custom := planned(filled(t, conn)), generated(t), valued(t)
	for _, name := range slices.Sorted(maps.Keys(statements)) {
		args, listed := arguments[name]
		reason, excepted := unplanned()[name]
		switch {
		case listed == excepted:
			t.Errorf("nobody, or more than one, says how %s is planned; list it once, in planned or in unplanned", name)
		case listed:
			mode := "auto"
			if slices.Contains(custom, name) {
				mode = "force_custom_plan"
			}
			examine(t, conn, name, mode, statements[name], args)
		case reason == "":
			t.Errorf("%s is left out without a reason", name)
		}
	}
	for _, name := range slices.Concat(slices.Collect(maps.Keys(arguments)), slices.Collect(maps.Keys(unplanned())), custom) {
		if _, ok := statements[name]; !ok {
			t.Errorf("a list names %s, which is no statement", name)
		}
	}
}

// examine plans one statement as often as it takes.
func examine(t *testing.T, conn *pgx.Conn, name, mode, statement string, args []string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), "SET plan_cache_mode = "+mode+"; PREPARE "+name+" AS "+statement); err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	for range plans {
		plan := explain(t, conn, name, args)
		if node := growing.FindStringSubmatch(plan); node != nil {
			t.Errorf("%s reads all of %s:\n%s", name, node[1], plan)
			return
		}
	}
}

// TestThePlansOfFunctionsReadNoWholeTable is about what an EXPLAIN of the calling
// statement does not show.
func TestThePlansOfFunctionsReadNoWholeTable(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), pgtest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	filled(t, conn)
	var body string
	if err := conn.QueryRow(t.Context(), `SELECT prosrc FROM pg_proc WHERE proname = 'sealing_keys'`).Scan(&body); err != nil {
		t.Fatal(err)
	}
	examine(t, conn, "sealing", "auto", body, nil)
}

// TestWhatIsNewIsFoundByItsIndexAfterAnImport is about a table that a few
// transactions wrote: any of them looks as if it had written a good part of it.
func TestWhatIsNewIsFoundByItsIndexAfterAnImport(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), pgtest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	arguments, statements := planned(filled(t, conn)), generated(t)
	if _, err := conn.Exec(t.Context(), `UPDATE transition SET xid = (100 + extract(month FROM create_time)::int % 2)::text::xid8`); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), analyze); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"transitionTail", "eventPeek", "eventSequence"} {
		examine(t, conn, name, "auto", statements[name], arguments[name])
		// By its key the whole table is read as well, only in another order.
		if plan := explain(t, conn, name, arguments[name]); strings.Contains(plan, "using transition_20260226_pkey") {
			t.Errorf("%s walks through the key:\n%s", name, plan)
		}
	}
}

// TestTheCheckSeesAWholeTable holds the check against statements that do read one.
func TestTheCheckSeesAWholeTable(t *testing.T) {
	t.Parallel()
	for plan, want := range map[string]string{
		"Seq Scan on verification v  (cost=0.00..1.00 rows=1 width=1)":                     "verification",
		"  ->  Seq Scan on delivery_20260226 delivery_1  (cost=0.00..1.00 rows=1 width=1)": "delivery_20260226",
		"->  Parallel Seq Scan on transition_first t  (cost=0.00..1.00 rows=1 width=1)":    "transition_first",
		"->  Seq Scan on delivery_default d_3  (cost=0.00..1.00 rows=1 width=1)":           "",
		"->  Index Scan using seen_pkey on seen  (cost=0.00..1.00 rows=1 width=1)":         "",
		"->  Seq Scan on event_head  (cost=0.00..1.00 rows=1 width=1)":                     "",
	} {
		got := ""
		if node := growing.FindStringSubmatch(plan); node != nil {
			got = node[1]
		}
		if got != want {
			t.Errorf("%s: it sees %q, want %q", plan, got, want)
		}
	}
}

// usesIndex is whether a plan goes by an index, or by a partition's share of it.
func usesIndex(t *testing.T, conn *pgx.Conn, plan, index string) bool {
	t.Helper()
	rows, err := conn.Query(t.Context(), `SELECT $1 UNION SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = $1::regclass`, pgx.QueryExecModeSimpleProtocol, index)
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(names, func(name string) bool { return strings.Contains(plan, " "+name+" ") })
}

func explain(t *testing.T, conn *pgx.Conn, name string, args []string) string {
	t.Helper()
	execute := "EXPLAIN EXECUTE " + name
	if len(args) > 0 {
		execute += "(" + strings.Join(args, ", ") + ")"
	}
	rows, err := conn.Query(t.Context(), execute, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return strings.Join(lines, "\n")
}

// generated returns the statements of gen/sqlc by the name of their constant.
func generated(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../../gen/sqlc/*.sql.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no generated statements: %v", err)
	}
	statements := map[string]string{}
	for _, file := range files {
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
				text, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				statements[spec.Names[0].Name] = text
			}
			return true
		})
	}
	return statements
}
