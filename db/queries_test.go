package db_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// across lists the queries that reach over projects and environments, and why
// each must. A query that is not here says both.
func across() map[string]string {
	return map[string]string{
		"APIKeyGet":                    "a caller's project is not known before its key is found; the id is unique over all",
		"APIKeyUse":                    "a node writes down all uses at once, by ids that it authenticated",
		"VerificationLockByNonce":      "a return leg carries nothing but its nonce, which nobody can guess",
		"VerificationOverdue":          "the clock's sweep over all tenants; it returns where each row is",
		"VerificationGetWatched":       "a node reads what its watchers of all tenants wait for; each looks whether it may see the row",
		"VerificationUnstarted":        "the clock's sweep over all tenants; it returns where each row is",
		"VerificationFreeLanes":        "the clock's sweep over all tenants; it gives back what nobody holds any more",
		"VerificationLeaseFetches":     "the clock's work over all tenants; it returns where each row is",
		"VerificationOldestUnresolved": "a connection belongs to one environment, and its name is unique over all",
		"CallbackLockUnfinished":       "the dispatcher's work over all tenants, by the verifications whose events it read",
		"CallbackOldest":               "a gauge over all tenants, without anything of them",
		"CallbackOverdue":              "the dispatcher's work over all tenants; it returns where each row is",
		"CallbackPurge":                "the clock's purge over all tenants",
		"EventPeek":                    "a node follows the log of all tenants; it returns whether there is something new",
		"EventSequence":                "all tenants have one order of events; each row keeps its own tenant",
		"EventResync":                  "all tenants have one order of events; each row keeps its own tenant",
		"EventToQueue":                 "the dispatcher's work over all tenants; it returns where each row is",
		"EventScopes":                  "a node asks once for the streams of all tenants; it returns the tenants only",
		"EventPurge":                   "the clock's purge over all tenants",
		"TransitionTail":               "a node follows the log of all tenants; it returns ids and versions only",
		"DeliveryParkedRecently":       "the clock's sweep over all tenants; it returns where each row is",
		"DeliveryParkedAndBound":       "the clock's sweep over all tenants; it returns where each row is",
		"DeliveryPurge":                "the clock's purge over all tenants",
		"DeliveryWalk":                 "re-encryption walks over all tenants; it returns where each row is, and no content",
		"PartitionPurgeTransitions":    "the clock's purge over all tenants",
		"DeliveryCountByKey":           "counts what is sealed under each key of the gateway",
	}
}

// tenanted are the tables whose rows say their project and environment.
const tenanted = `(verification|transition|delivery|idempotency|api_key|audit_entry|event_position|callback|callback_attempt)`

var (
	named    = regexp.MustCompile(`(?m)^-- name: (\w+) :\w+$`)
	comment  = regexp.MustCompile(`(?m)--.*$`)
	mentions = regexp.MustCompile(`(?i)\b(?:FROM|JOIN|UPDATE|INTO)\s+` + tenanted + `\b`)
	// A row is asked for with a condition, or written with both columns.
	asksProject     = regexp.MustCompile(`\bproject = |\bINTO ` + tenanted + ` \([^)]*\bproject\b`)
	asksEnvironment = regexp.MustCompile(`\benvironment = |\bINTO ` + tenanted + ` \([^)]*\benvironment\b`)
)

// queries returns the text of each query, without comments, by its name.
func queries(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("queries/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("no queries: %v", err)
	}
	found := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		starts := named.FindAllSubmatchIndex(text, -1)
		for i, at := range starts {
			end := len(text)
			if i+1 < len(starts) {
				end = starts[i+1][0]
			}
			found[string(text[at[2]:at[3]])] = comment.ReplaceAllString(string(text[at[1]:end]), "")
		}
	}
	return found
}

// unscoped says what of a query's tables it asks for without a tenant.
func unscoped(text string) bool {
	tables := len(mentions.FindAllString(text, -1))
	return len(asksProject.FindAllString(text, -1)) < tables || len(asksEnvironment.FindAllString(text, -1)) < tables
}

func TestEveryQuerySaysItsProjectAndEnvironment(t *testing.T) {
	t.Parallel()
	allowed, all := across(), queries(t)
	if len(all) < 40 {
		t.Fatalf("only %d queries were found", len(all))
	}
	for name, text := range all {
		reason, listed := allowed[name]
		switch {
		case unscoped(text) && !listed:
			t.Errorf("%s reaches over projects or environments; add `project = @project AND environment = @environment` for each table, or list it with its reason", name)
		case !unscoped(text) && listed:
			t.Errorf("%s says its project and environment: take it off the list", name)
		case listed && strings.TrimSpace(reason) == "":
			t.Errorf("%s is listed without a reason", name)
		}
	}
	for name := range allowed {
		if _, ok := all[name]; !ok {
			t.Errorf("the list names %s, which is no query", name)
		}
	}
}

func TestTheCheckOfTenantsSeesWhatIsMissing(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		`SELECT * FROM verification WHERE id = @id`:                                                           true,
		`SELECT * FROM verification WHERE id = @id AND project = @project`:                                    true,
		`SELECT * FROM verification WHERE id = @id AND environment = @environment`:                            true,
		`SELECT * FROM verification WHERE id = @id AND project = @project AND environment = @environment`:     false,
		`DELETE FROM idempotency WHERE key = @key`:                                                            true,
		`UPDATE api_key SET name = @name WHERE id = @id`:                                                      true,
		`INSERT INTO delivery (id, project, environment) VALUES (@id, @project, @environment)`:                false,
		`INSERT INTO delivery (id) VALUES (@id)`:                                                              true,
		`SELECT * FROM provider_ref WHERE verification_id = @id`:                                              false,
		`SELECT 1 FROM provider_ref r JOIN delivery d ON d.connection = r.connection`:                         true,
		`SELECT 1 FROM delivery d JOIN verification v ON true WHERE d.project = 'a' AND d.environment = 'b'`:  true,
		`SELECT 1 FROM audit_entry a WHERE a.project = '' AND a.environment = ''`:                             false,
		`SELECT 1 FROM transition WHERE verification_id = @id AND project = @project AND environment IN ('')`: true,
	} {
		if got := unscoped(text); got != want {
			t.Errorf("%s: unscoped is %t, want %t", text, got, want)
		}
	}
}

func TestQueriesHaveNamesOfTheirTables(t *testing.T) {
	t.Parallel()
	prefixes := []string{
		"APIKey", "AuditEntry", "Batch", "Callback", "Database", "Delivery", "Event", "Hint", "Idempotency", "Partition", "ProviderRef", "ReturnHint", "Seen", "Transaction", "Transition", "Verification",
	}
	for name := range queries(t) {
		if !slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			t.Errorf("%s begins with no table's name", name)
		}
	}
}
