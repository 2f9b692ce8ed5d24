package server_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/verification"
)

// dump is everything that a database holds, as text, by table.
func dump(t *testing.T, dsn string) map[string]string {
	t.Helper()
	tables := make(map[string]string)
	for _, row := range rowsOf(t, dsn, "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'") {
		name := row[0].(string)
		var text strings.Builder
		for _, line := range rowsOf(t, dsn, `SELECT r::text FROM "`+name+`" r`) {
			text.WriteString(line[0].(string) + "\n")
		}
		tables[name] = text.String()
	}
	return tables
}

// wantNowhere fails if any table holds any of the marked texts, plain or
// encoded.
func wantNowhere(t *testing.T, dsn string, marked ...string) {
	t.Helper()
	tables := dump(t, dsn)
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		for _, mark := range marked {
			if containsAny(tables[name], encodings(mark)) {
				t.Errorf("the table %s still holds %q", name, mark)
			}
		}
	}
}

const (
	erasedSubject   = "marked-subject-ann"
	erasedReference = "marked-reference-of-ann"
	erasedName      = "marked-family-name"
	erasedValue     = "marked-metadata-value"
	erasedQuery     = "marked-redirect-query"
	erasedReason    = "marked-reason-of-cancel"
)

// erasable is a gateway that knows one person well.
type erasable struct {
	*gateway

	dsn   string
	users *issuer
	// open, decided and canceled are her verifications; own is the one that she
	// started herself.
	open, decided, canceled, own string
}

func newErasable(t *testing.T) *erasable {
	t.Helper()
	e := &erasable{dsn: pgtest.New(t), users: newIssuer(t)}
	e.gateway = openDeveloping(t, e.dsn, func(c *config.Config) {
		c.EndUsers = []config.EndUsers{e.users.of(shopTest())}
		letEndUsersStart(c)
	})
	start := func(reference string) string {
		started, err := e.api(e.key).StartVerification(t.Context(), &verigatev1.StartVerificationRequest{
			Flow: "identity", Subject: erasedSubject, Reference: reference, IdempotencyKey: reference,
			Metadata:    map[string]string{"note": erasedValue},
			RedirectUrl: "myapp://done?" + erasedQuery, FailureRedirectUrl: "myapp://sorry?" + erasedQuery,
			CallbackUrl: "https://backend.example.com/" + erasedQuery,
		})
		if err != nil {
			t.Fatal(err)
		}
		return started.GetVerification().GetId()
	}
	e.open, e.decided, e.canceled = start(erasedReference+"-1"), start(erasedReference+"-2"), start(erasedReference+"-3")
	e.own = startFor(t, e.api(e.users.token(erasedSubject)), "", "own").GetId()
	e.tell(verification.Passed, e.decided)
	_, err := e.api(e.key).CancelVerification(t.Context(), &verigatev1.CancelVerificationRequest{Id: e.canceled, Reason: erasedReason})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// tell delivers a webhook that names the person.
func (e *erasable) tell(kind verification.EventKind, id string) {
	e.t.Helper()
	body, err := json.Marshal(fakeHook{ID: "hook-" + string(kind) + id, Kind: string(kind), For: id, Name: erasedName})
	if err != nil {
		e.t.Fatal(err)
	}
	if a := e.deliver("fake", string(body)); a.status != http.StatusOK {
		e.t.Fatalf("answered %d", a.status)
	}
}

func (e *erasable) erase(subject string) *verigatev1.EraseSubjectResponse {
	e.t.Helper()
	done, err := e.operatorAPI(e.newOperatorKey(shopTest())).EraseSubject(e.t.Context(),
		&verigatev1.EraseSubjectRequest{Subject: subject, Reason: "ticket 12"})
	if err != nil {
		e.t.Fatalf("EraseSubject: %v", err)
	}
	return done
}

func TestAnErasedSubjectIsNowhereInTheDatabaseAndCountsSurvive(t *testing.T) {
	t.Parallel()
	e := newErasable(t)
	if before := dump(t, e.dsn); !strings.Contains(before["verification"], erasedQuery) || !strings.Contains(before["transition"], erasedReason) {
		t.Fatal("the database did not know her, so this proves nothing")
	}
	nobody := e.erase("somebody-unknown")
	if nobody.GetVerifications() != 0 || nobody.GetErasureId() == "" {
		t.Errorf("erasing nobody did %v", nobody)
	}
	done := e.erase(erasedSubject)
	if done.GetVerifications() != 4 || done.GetCanceled() != 2 || done.GetDeliveries() != 1 {
		t.Errorf("it erased %v; want 4 verifications, 2 canceled, 1 delivery", done)
	}
	if again := e.erase(erasedSubject); again.GetVerifications() != 0 {
		t.Errorf("the second time it erased %v", again)
	}
	wantNowhere(t, e.dsn, erasedSubject, erasedReference, erasedName, erasedValue, erasedQuery, erasedReason)
	for id, want := range map[string]verigatev1.VerificationState{
		e.open: canceled, e.own: canceled, e.canceled: canceled, e.decided: approved,
	} {
		v := e.state(id)
		if v.GetState() != want || v.GetSubject() != verification.ErasedSubject || v.GetReference() != "" ||
			len(v.GetMetadata()) != 0 || v.GetHostedUrl() != "" {
			t.Errorf("it is now %v, want it %v and empty", v, want)
		}
	}
}

func TestAnErasedPersonsWatcherIsToldAndNobodyFindsHerAnyMore(t *testing.T) {
	t.Parallel()
	e := newErasable(t)
	ann := e.api(e.users.token(erasedSubject))
	updates := watch(t, ann, &verigatev1.WatchStatusRequest{Id: e.own})
	updates.next()
	backends := watch(t, e.api(e.key), &verigatev1.WatchStatusRequest{Id: e.open})
	backends.next()
	e.erase(erasedSubject)
	if u := backends.next(); u.GetState() != canceled || !u.GetTerminal() {
		t.Errorf("the backend's stream said %v, want canceled", u)
	}
	// Her own stream may not see her row any more: it ends as not found.
	wantCode(t, untilError(updates), connect.CodeNotFound)
	for name, r := range map[string]*verigatev1.GetVerificationRequest{
		"by id": {Id: e.own}, "by reference": {Reference: erasedReference + "-1"},
	} {
		wantCode(t, send(t.Context(), ann, r), connect.CodeNotFound)
		if name == "by reference" {
			wantCode(t, send(t.Context(), e.api(e.key), r), connect.CodeNotFound)
		}
	}
	list, err := e.api(e.key).ListVerifications(t.Context(), &verigatev1.ListVerificationsRequest{Subject: erasedSubject})
	if err != nil || len(list.GetVerifications()) != 0 {
		t.Errorf("listed by subject: %v, %v", list, err)
	}
}

func TestWhatComesAfterAnErasureIsKeptWithoutItsContent(t *testing.T) {
	t.Parallel()
	e := newErasable(t)
	done, _ := e.legs(e.open)
	e.erase(erasedSubject)
	e.tell(verification.Rejected, e.open)
	e.tell(verification.RevisedToRejected, e.decided)
	bodies, effects := deliveries(t, e.gateway, e.dsn)
	if strings.Join(effects, " ") != "applied stale stale" {
		t.Errorf("effects %q", effects)
	}
	for i, body := range bodies {
		if len(body) != 0 {
			t.Errorf("delivery %d kept %d bytes", i, len(body))
		}
	}
	if a := e.call(http.MethodGet, done, ""); a.status == http.StatusSeeOther || a.header.Get("Location") != "" {
		t.Errorf("the way back still leads to %q", a.header.Get("Location"))
	}
	wantNowhere(t, e.dsn, erasedSubject, erasedReference, erasedName, erasedValue, erasedQuery, erasedReason)
	if v := e.state(e.decided); v.GetState() != approved {
		t.Errorf("a webhook after the erasure made it %v", v.GetState())
	}
}

func TestAnErasuresReasonMustNotNameTheSubject(t *testing.T) {
	t.Parallel()
	e := newErasable(t)
	_, err := e.operatorAPI(e.newOperatorKey(shopTest())).EraseSubject(t.Context(),
		&verigatev1.EraseSubjectRequest{Subject: erasedSubject, Reason: "asked by " + strings.ToUpper(erasedSubject)})
	wantCode(t, err, connect.CodeInvalidArgument)
	wantField(t, err, "reason")
	if v := e.state(e.open); v.GetState() != pending {
		t.Errorf("it is %v", v)
	}
}
