package aiprise_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/verification"
)

// meaning is what a pair of words must become.
type meaning struct {
	kind    verification.EventKind
	reasons []string
	unknown bool
}

func unknownWords() meaning {
	return meaning{verification.ReviewStarted, []string{"unknown_provider_status"}, true}
}

// table is what each status with each result means, written down row by row and
// not as code. What is not in it is not understood.
func table() map[string]meaning {
	t := map[string]meaning{
		"COMPLETED/APPROVED": {verification.Passed, nil, false},
		"-/APPROVED":         {verification.Passed, nil, false},
		"COMPLETED/DECLINED": {verification.Rejected, []string{"provider_declined"}, false},
		"-/DECLINED":         {verification.Rejected, []string{"provider_declined"}, false},
		"COMPLETED/REVIEW":   {verification.ReviewStarted, []string{"provider_review"}, false},
		"-/REVIEW":           {verification.ReviewStarted, []string{"provider_review"}, false},
	}
	for _, open := range []string{"UNKNOWN", "-"} {
		t["NOT_STARTED/"+open] = meaning{verification.SessionOpened, nil, false}
		t["COLLECTING/"+open] = meaning{verification.SessionOpened, nil, false}
		t["SUBMITTED/"+open] = meaning{verification.PersonSubmitted, nil, false}
		t["RUNNING/"+open] = meaning{verification.PersonSubmitted, nil, false}
		t["PROCESSING/"+open] = meaning{verification.PersonSubmitted, nil, false}
		t["PENDING/"+open] = meaning{verification.PersonSubmitted, nil, false}
		t["FAILED/"+open] = meaning{verification.ProcessingFailed, []string{"provider_failed"}, false}
		t["COMPLETED/"+open] = meaning{verification.ReviewStarted, []string{"provider_undecided"}, false}
	}
	return t
}

func statuses() []string {
	return []string{
		"-", "NOT_STARTED", "COLLECTING", "SUBMITTED", "RUNNING", "PROCESSING", "PENDING", "COMPLETED", "FAILED",
		"UPDATE_REQUIRED", "APPROVED", "COMPLETE", "UNKNOWN",
	}
}

func results() []string {
	return []string{"-", "UNKNOWN", "APPROVED", "DECLINED", "REVIEW", "FOUND", "NOT_FOUND", "MANUAL_REVIEW", "PASSED", "COMPLETED"}
}

func TestEveryStatusWithEveryResult(t *testing.T) {
	t.Parallel()
	p, expected, seen := open(t), table(), 0
	for _, status := range statuses() {
		for _, decided := range results() {
			pair := status + "/" + decided
			if pair == "-/-" {
				continue // says no result at all: TestUnreadableBodies
			}
			want, known := expected[pair]
			if !known {
				want = unknownWords()
			} else {
				seen++
			}
			for _, fold := range []func(string) string{strings.ToUpper, strings.ToLower} {
				checkMeaning(t, decodeBody(t, p, result(quoted(fold(status)), quoted(fold(decided)))), fold(pair), want)
			}
		}
	}
	if seen != len(expected) {
		t.Errorf("%d of the table's %d rows were tried", seen, len(expected))
	}
}

// quoted is a word as JSON; "" for the word that is not said.
func quoted(word string) string {
	if word == "-" {
		return ""
	}
	return fmt.Sprintf("%q", word)
}

func checkMeaning(t *testing.T, n provider.Notice, pair string, want meaning) {
	t.Helper()
	if n.Kind != provider.NoticeEvent || n.Event.Kind != want.kind || !slices.Equal(n.Event.ReasonCodes, want.reasons) {
		t.Errorf("%s: got %+v, want %+v", pair, n, want)
	}
	unknown := ""
	if want.unknown {
		unknown = pair
	}
	if n.ProviderStatus != pair || n.UnknownStatus != unknown {
		t.Errorf("%s: got provider status %q, unknown status %q", pair, n.ProviderStatus, n.UnknownStatus)
	}
}

func TestWordsThatAreAlmostRight(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 40)
	for name, c := range map[string]struct{ status, decided, said string }{
		"an approval with a space":               {`"COMPLETED"`, `" APPROVED"`, "COMPLETED/ APPROVED"},
		"an approval with a NUL":                 {`"COMPLETED"`, `"APPROVED\u0000"`, "COMPLETED/APPROVED"},
		"an approval in full width":              {`"COMPLETED"`, `"ＡＰＰＲＯＶＥＤ"`, "COMPLETED/ＡＰＰＲＯＶＥＤ"},
		"a Cyrillic letter in an approval":       {`"COMPLETED"`, `"АPPROVED"`, "COMPLETED/АPPROVED"},
		"two words":                              {`"COMPLETED"`, `"APPROVED DECLINED"`, "COMPLETED/APPROVED DECLINED"},
		"a dotless i in a decline":               {`"COMPLETED"`, `"decl\u0131ned"`, "COMPLETED/declıned"},
		"a long s in a status":                   {`"\u017fUBMITTED"`, `"UNKNOWN"`, "ſUBMITTED/UNKNOWN"},
		"an empty status beside an approval":     {`""`, `"APPROVED"`, "?/APPROVED"},
		"an empty result":                        {`"COMPLETED"`, `""`, "COMPLETED/?"},
		"a result of unprintable letters":        {`"COMPLETED"`, `"\u0000\n"`, "COMPLETED/?"},
		"words that are too long":                {`"` + long + `"`, `"` + long + `"`, long[:64] + "/" + long[:64]},
		"a status that is over, but not decided": {`"COMPLETED "`, `"APPROVED"`, "COMPLETED /APPROVED"},
	} {
		t.Run(name+" is not understood", func(t *testing.T) {
			t.Parallel()
			checkMeaning(t, decodeBody(t, open(t), result(c.status, c.decided)), c.said, unknownWords())
		})
	}
	t.Run("null says nothing", func(t *testing.T) {
		t.Parallel()
		n := decodeBody(t, open(t), result(`null`, `"APPROVED"`))
		checkMeaning(t, n, "-/APPROVED", meaning{verification.Passed, nil, false})
		n = decodeBody(t, open(t), result(`"RUNNING"`, `null`))
		checkMeaning(t, n, "RUNNING/-", meaning{verification.PersonSubmitted, nil, false})
	})
	t.Run("results elsewhere decide nothing", func(t *testing.T) {
		t.Parallel()
		n := decodeBody(t, open(t), result(`"COMPLETED"`, `"UNKNOWN"`,
			`"verification_result":"APPROVED"`, `"aml_info":{"result":"APPROVED","verification_result":"APPROVED"}`, `"id_info":{"status":"APPROVED"}`))
		checkMeaning(t, n, "COMPLETED/UNKNOWN", meaning{verification.ReviewStarted, []string{"provider_undecided"}, false})
	})
}

func TestRevisions(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]struct {
		meaning

		said string
	}{
		`"APPROVED"`: {meaning{verification.RevisedToPassed, nil, false}, "-/APPROVED"},
		`"approved"`: {meaning{verification.RevisedToPassed, nil, false}, "-/approved"},
		`"DECLINED"`: {meaning{verification.RevisedToRejected, []string{"provider_declined"}, false}, "-/DECLINED"},
		`"REVIEW"`:   {meaning{verification.ReviewStarted, []string{"provider_review"}, false}, "-/REVIEW"},
		`"UNKNOWN"`:  {unknownWords(), "-/UNKNOWN"},
		`"PASSED"`:   {unknownWords(), "-/PASSED"},
		`""`:         {unknownWords(), "-/?"},
		`null`:       {unknownWords(), "-/-"},
	} {
		t.Run("a case update to "+value, func(t *testing.T) {
			t.Parallel()
			checkMeaning(t, decodeBody(t, open(t), event("CASE_STATUS_UPDATE", `"verification_result":`+value)), want.said, want.meaning)
		})
	}
	t.Run("the summary of a case update decides nothing", func(t *testing.T) {
		t.Parallel()
		n := decodeBody(t, open(t), event("CASE_STATUS_UPDATE", `"status":"COMPLETED"`, `"aiprise_summary":{"verification_result":"APPROVED"}`))
		checkMeaning(t, n, "-/-", unknownWords())
	})
}

func TestReasons(t *testing.T) {
	t.Parallel()
	reasons := func(list string) string {
		return result(`"COMPLETED"`, `"DECLINED"`, `"status_reasons":`+list)
	}
	many := make([]string, 0, 8)
	for i := range 8 {
		many = append(many, fmt.Sprintf(`{"code":"R%d"}`, i))
	}
	long := strings.Repeat("A", 64)
	for name, c := range map[string]struct {
		body string
		want []string
	}{
		"the codes of a decline": {
			reasons(`[{"code":"FAKE_ID","message":"m"},{"code":"AGE_18"}]`),
			[]string{"provider_declined", "aiprise_fake_id", "aiprise_age_18"},
		},
		"a code twice":                  {reasons(`[{"code":"A"},{"code":"A"}]`), []string{"provider_declined", "aiprise_a"}},
		"more codes than are kept":      {reasons("[" + strings.Join(many, ",") + "]"), []string{"provider_declined", "aiprise_r0", "aiprise_r1", "aiprise_r2", "aiprise_r3", "aiprise_r4"}},
		"a code as long as may be":      {reasons(`[{"code":"` + long + `"}]`), []string{"provider_declined", "aiprise_" + strings.ToLower(long)}},
		"a code that is too long":       {reasons(`[{"code":"` + long + `A"}]`), []string{"provider_declined"}},
		"codes of another form":         {reasons(`[{"code":"fake"},{"code":"A B"},{"code":""},{"code":"A\n"},{"code":"É"}]`), []string{"provider_declined"}},
		"codes of another kind":         {reasons(`[{"code":1},{"code":null},{},"A",null,[],{"code":"A","code":"B"}]`), []string{"provider_declined"}},
		"reasons that are no list":      {reasons(`{"code":"A"}`), []string{"provider_declined"}},
		"reasons that are null":         {reasons(`null`), []string{"provider_declined"}},
		"the reasons of an approval":    {result(`"COMPLETED"`, `"APPROVED"`, `"status_reasons":[{"code":"A"}]`), nil},
		"the reason of a case update":   {event("CASE_STATUS_UPDATE", `"verification_result":"DECLINED"`, `"reason":{"code":"FAKE_ID","message":"document rejected"}`), []string{"provider_declined", "aiprise_fake_id"}},
		"a reason that is only a text":  {event("CASE_STATUS_UPDATE", `"verification_result":"DECLINED"`, `"reason":"FAKE_ID"`), []string{"provider_declined"}},
		"the reason of an approved one": {event("CASE_STATUS_UPDATE", `"verification_result":"APPROVED"`, `"reason":{"code":"FAKE_ID"}`), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if n := decodeBody(t, open(t), c.body); !slices.Equal(n.Event.ReasonCodes, c.want) {
				t.Errorf("got %v, want %v", n.Event.ReasonCodes, c.want)
			}
		})
	}
}

// saysApproved reads a body in a way of its own: without it, nothing passes.
func saysApproved(body []byte) bool {
	var said struct {
		Result  any            `json:"verification_result"`
		Summary map[string]any `json:"aiprise_summary"`
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return false
	}
	for _, word := range []any{said.Result, said.Summary["verification_result"]} {
		if text, ok := word.(string); ok && strings.EqualFold(text, "APPROVED") {
			return true
		}
	}
	return false
}
