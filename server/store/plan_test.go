package store_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/verigate/verigate/server/pgdev/pgtest"
)

// fill makes 20,000 old verifications with their transitions, deliveries and
// refs, of which 2,000 are open.
const fill = `
INSERT INTO verification (id, project, environment, flow, connection, product, subject, reference, state, version,
	nonce_hash, create_time, update_time, expire_time, grace_until, page_until, return_time, bind_time, final_time)
SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, 'shop', 'test', 'identity', 'human', 'identity',
	's' || i % 500, 'r' || i, CASE WHEN i % 10 = 0 THEN 'pending' ELSE 'approved' END, 2,
	sha256(i::text::bytea), at, at, at + interval '1 hour', at + interval '70 minutes', at + interval '1 hour',
	CASE WHEN i % 10 > 0 THEN at + interval '5 minutes' END,
	CASE WHEN i % 10 > 0 THEN at + interval '5 minutes' END,
	CASE WHEN i % 10 > 0 THEN at + interval '5 minutes' END
FROM generate_series(1, 20000) i, LATERAL (SELECT timestamptz '2026-03-01' + i * interval '1 minute' AS at) t;
INSERT INTO transition (verification_id, version, project, environment, from_state, to_state, event, source, create_time, xid)
SELECT id, 1, project, environment, '', 'created', 'started', 'caller', create_time,
	(100 + row_number() OVER (ORDER BY id))::text::xid8 FROM verification;
INSERT INTO event_position (verification_id, version, project, environment, position, create_time)
SELECT verification_id, version, project, environment, row_number() OVER (ORDER BY verification_id), create_time FROM transition;
INSERT INTO callback (id, project, environment, verification_id, version, channel, url, state, attempts, create_time, first_time, next_time, finish_time)
SELECT id, project, environment, id, 1, 'events', 'https://shop.example.com/' || reference, at.state, 1, create_time, create_time,
	CASE WHEN at.state = 'pending' THEN create_time END, CASE WHEN at.state IN ('delivered', 'dead') THEN create_time END
FROM verification, LATERAL (SELECT CASE WHEN reference LIKE '%00' THEN 'pending' WHEN reference LIKE '%11' THEN 'dead'
	ELSE 'delivered' END AS state) at;
INSERT INTO callback_attempt SELECT id, 1, project, environment, create_time, 5, 200, '' FROM callback;
INSERT INTO provider_ref SELECT 'human', 'verification:' || id, id, 'exact', create_time FROM verification;
INSERT INTO return_hint SELECT 'human', 'verification:' || id, id, create_time FROM verification;
INSERT INTO seen SELECT 'human', 'key:' || id, id, create_time FROM verification;
INSERT INTO idempotency SELECT 'shop', 'test', 'k' || id, '\x00', id, create_time FROM verification;
INSERT INTO delivery (id, project, environment, connection, receive_time, headers, body, dedupe_key, product, effect, verification_id)
SELECT id, 'shop', 'test', 'human', create_time, '{}', '', 'key:' || id, 'identity',
	CASE WHEN reference LIKE '%00' THEN 'unmatched' ELSE 'applied' END,
	CASE WHEN reference LIKE '%00' THEN NULL ELSE id END FROM verification;
INSERT INTO api_key (id, project, environment, name, secret_hash, create_time)
SELECT 'key' || i, 'shop' || i % 100, 'test', 'n', sha256('s'), now() FROM generate_series(1, 20000) i;
INSERT INTO audit_entry (id, project, environment, create_time, actor, action)
SELECT id, CASE WHEN reference LIKE '%0' THEN '' ELSE project END, CASE WHEN reference LIKE '%0' THEN '' ELSE environment END,
	create_time, 'key:1', 'api_key.create' FROM verification;
ANALYZE`

// plans is how often each statement is planned: after five times Postgres may
// change to a plan that knows no values.
const plans = 8

// TestNoHotQueryReadsAWholeTable runs what requests, webhooks and the sweeps
// ask against 20,000 rows.
func TestNoHotQueryReadsAWholeTable(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), pgtest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.Exec(t.Context(), fill); err != nil {
		t.Fatal(err)
	}
	const (
		uuidText = "00000000-0000-7000-8000-000000003039"
		id       = "'" + uuidText + "'"
		none     = "'00000000-0000-0000-0000-000000000000'"
		at       = "timestamptz '2026-03-10 12:00'"
		from     = "timestamptz '2026-03-10 11:59'"
		till     = "timestamptz '2026-03-10 12:01'"
		last     = "timestamptz '2026-03-14 20:00'"
	)
	statements := generated(t)
	// The arguments in the order of the generated statement's numbers.
	for name, args := range map[string][]string{
		"verificationGet":            {id, "'shop'", "'test'"},
		"verificationGetByReference": {"'shop'", "'test'", "'r77'", "''"},
		"verificationLock":           {id, "'shop'", "'test'"},
		"verificationLockSubject":    {"'shop'", "'test'", "'s7'", "50"},
		"verificationUpdateIfVersion": {
			"'pending'", "3", "'{}'", "''", "''", "NULL", at, at, at, at, "NULL", "NULL", "NULL", "NULL", "0", id, "'shop'", "'test'", "2",
		},
		"verificationLeaseFetches":        {at, at, "200"},
		"verificationDecidedAfter":        {"'shop'", "'test'", id, at},
		"verificationOldestUnresolved":    {"'human'"},
		"providerRefListToFetch":          {id, "'shop'", "'test'", "'erased:'"},
		"verificationErase":               {"''", "''", "'{}'", "''", "''", "''", "''", "''", at, id, "'shop'", "'test'", "2"},
		"verificationCountOpen":           {"'shop'", "'test'", "'identity'", "100"},
		"verificationCountOpenOfSubject":  {"'shop'", "'test'", "'identity'", "'s10'", "3"},
		"transitionErase":                 {id, "'shop'", "'test'"},
		"providerRefListOfVerification":   {id},
		"providerRefHasOther":             {id, "'human'", "'{verification}'", "'{verification:1}'"},
		"providerRefErase":                {"'{verification:1}'", "'{erased:1}'", id, "'human'"},
		"returnHintListOfVerification":    {id},
		"returnHintErase":                 {"'{verification:1}'", "'{erased:1}'", "'human'"},
		"returnHintInsert":                {"'human'", "'erased:1'", "'verification:1'", id, at},
		"deliveryEraseApplied":            {at, "'shop'", "'test'", id},
		"deliveryEraseParked":             {id, at, "'shop'", "'test'", "'human'", "'" + uuidText + "'", "'{verification:1}'"},
		"deliverySettleIfParked":          {"'stale'", id, at, id, "'shop'", "'test'"},
		"deliverySettleEmptyIfParked":     {"'stale'", id, at, id, "'shop'", "'test'"},
		"deliveryPurge":                   {"timestamptz '2026-03-02'", "200"},
		"deliveryWalk":                    {id, "500"},
		"deliveryResealIfUnder":           {"'x'", "'x'", "'k2'", id, "'shop'", "'test'", "'k1'"},
		"aPIKeyGet":                       {"'key77'"},
		"aPIKeyList":                      {"'shop7'", "'test'"},
		"aPIKeyLock":                      {"'key77'", "'shop7'", "'test'"},
		"aPIKeyUpdate":                    {"NULL", "NULL", "''", "'key77'", "'shop7'", "'test'"},
		"aPIKeyUse":                       {"'{key77,key78}'", "ARRAY[" + at + "," + at + "]"},
		"auditEntryList":                  {"'shop'", "'test'", id, "'api_key.create'", "''", "50"},
		"verificationLockByNonce":         {"sha256('77')"},
		"verificationOverdue":             {"timestamptz '2026-03-01 03:00'", "200"},
		"verificationUnstarted":           {last, "200"},
		"verificationFreeLanes":           {last},
		"verificationCandidates":          {"'shop'", "'test'", "'human'", "'identity'", from, till, at},
		"verificationList":                {"'shop'", "'test'", none, id, "'{}'", "NULL", "NULL", "50"},
		"verificationListByFlow":          {"'shop'", "'test'", "'identity'", none, id, "'{}'", "NULL", "NULL", "50"},
		"verificationListBySubject":       {"'shop'", "'test'", "'s7'", none, id, "'{}'", "''", "NULL", "NULL", "50"},
		"transitionList":                  {id, "'shop'", "'test'"},
		"transitionTail":                  {"'20050:20100:20060'"},
		"providerRefFind":                 {"'human'", "'{verification:1,verification:2}'"},
		"providerRefInsert":               {"'human'", "'verification:new'", id, "'exact'", at, "'erased:new'"},
		"returnHintFind":                  {"'human'", "'{verification:1}'"},
		"seenInsert":                      {"'human'", "'key:new'", id, at},
		"idempotencyInsert":               {"'shop'", "'test'", "'new'", `'\x00'`, id, at},
		"idempotencyGet":                  {"'shop'", "'test'", "'k1'"},
		"deliveryLockIfParked":            {id, "'shop'", "'test'"},
		"deliveryHasParkedTwin":           {"'shop'", "'test'", "'human'", "'identity'", id, "'{verification:1}'", from, till},
		"deliveryFirstOfRun":              {"'shop'", "'test'", "'human'", "'identity'", "'{verification:1}'", at},
		"deliveryParkedAndBound":          {"timestamptz '2026-03-14 19:00'", "200"},
		"deliveryParkedFor":               {"'shop'", "'test'", "'human'", "'identity'", from, from, till, "''", id},
		"idempotencyDeleteByVerification": {"'shop'", "'test'", id},
		"deliveryParkedRecently":          {"timestamptz '2026-03-14 19:00'", "200"},
		"deliveryGet":                     {id, "'shop'", "'test'"},
		"deliveryGetBare":                 {id, "'shop'", "'test'"},
		"deliveryLock":                    {id, "'shop'", "'test'"},
		"deliveryReplace": {
			"'key:new'", "''", "''", "'passed'", "'identity'", "'{}'", "'{}'", "''", "'{}'", at, "'stale'", id, at, id, "'shop'", "'test'",
		},
		"deliveryEmpty":              {at, id, "'shop'", "'test'"},
		"deliveryList":               {"'shop'", "'test'", id, "'{applied}'", "''", "50"},
		"deliveryListOdd":            {"'{unmatched,refused}'", "'shop'", "'test'", id, "''", "50"},
		"deliveryListOfVerification": {"'shop'", "'test'", id, id, "'{}'", "''", "50"},
		"deliverySaidLast":           {"'shop'", "'test'", id, "500"},
		"seenDelivery":               {"'human'", "'key:" + uuidText + "'"},
		"transitionLast":             {id, "'shop'", "'test'", "500"},
		"eventPositionList":          {"'shop'", "'test'", id, "1", "502"},
		"eventPositionLatest":        {"'shop'", "'test'"},
		"eventScopes":                {"19990", "20000"},
		"eventPeek":                  {"'20050:20100:20060'", "10000"},
		"eventSequence":              {"20000", "'20050:20100:20060'"},
		"eventToQueue":               {"19990", "20000", "500"},
		"eventPurge":                 {"timestamptz '2026-03-02'", "20000", "500"},
		"callbackLockUnfinished":     {"'{" + uuidText + "}'"},
		"callbackLockChain":          {"'{" + uuidText + "}'", "'shop'", "'test'", "'{" + uuidText + "}'"},
		"callbackLockOfVerification": {id, "'shop'", "'test'"},
		"callbackGet":                {"'shop'", "'test'", id},
		"callbackList":               {"'shop'", "'test'", id, "'{dead}'", "50"},
		"callbackListOfVerification": {id, "'shop'", "'test'", id, "'{}'", "50"},
		"callbackListDead":           {"'shop'", "'test'", "50"},
		"callbackBegin":              {at, id, "'shop'", "'test'", "1", at},
		"callbackUpdate":             {"'dead'", "''", at, "NULL", at, id, "'shop'", "'test'"},
		"callbackErase":              {at, "'{" + uuidText + "}'", "'shop'", "'test'"},
		"callbackAttemptList":        {id, "'shop'", "'test'", "100"},
		"callbackOldest":             {},
		"callbackOverdue":            {at, last},
		"callbackPurge":              {"timestamptz '2026-03-01 03:00'", "500"},
	} {
		statement, ok := statements[name]
		if !ok {
			t.Errorf("there is no statement %s", name)
			continue
		}
		if _, err := conn.Exec(t.Context(), "PREPARE "+name+" AS "+statement); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for range plans {
			plan := explain(t, conn, name, args)
			if strings.Contains(plan, "Seq Scan") {
				t.Errorf("%s reads a whole table:\n%s", name, plan)
				break
			}
		}
		delete(statements, name)
	}
	for _, name := range unplanned() {
		delete(statements, name)
	}
	for name := range statements {
		t.Errorf("nobody looks at the plan of %s; give it arguments here, or list it as unplanned", name)
	}
}

// unplanned lists the statements that TestNoHotQueryReadsAWholeTable leaves out.
// None has a plan that could go wrong, but the last.
func unplanned() []string {
	return []string{
		"aPIKeyInsert", "auditEntryInsert", "deliveryInsert", "transitionInsert", "verificationInsert",
		"transitionSnapshot", "transactionAllowTime", "transactionTakeTurn",
		"callbackInsert", "callbackAttemptInsert",
		// of one row
		"eventHeadGet", "eventHeadRead", "eventHeadLock", "eventHeadAdvance", "eventHeadQueued",
		"eventResync",        // reads all transitions, once after a dump was restored
		"deliveryCountByKey", // reads every delivery, on an operator's request
	}
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
