package contract_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protojson"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/contract"
	"github.com/verigate/verigate/server/verification"
)

// goldenEvent is what a backend gets, to the letter.
const goldenEvent = `{
  "apiVersion": "v1",
  "createTime": "2026-05-17T10:30:00.123456Z",
  "environment": "test",
  "flow": "identity",
  "id": "0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d.4",
  "kind": "EVENT_KIND_REVISED_TO_REJECTED",
  "match": "VERIFICATION_MATCH_INFERRED",
  "previousState": "VERIFICATION_STATE_APPROVED",
  "reasonCodes": [
    "document_forged"
  ],
  "result": "VERIFICATION_RESULT_FAIL",
  "revision": true,
  "source": "EVENT_SOURCE_PROVIDER",
  "state": "VERIFICATION_STATE_DECLINED",
  "terminal": true,
  "verificationId": "0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d",
  "version": "4"
}`

// revised is a decision that was turned over. Whatever it holds beyond the
// contract is marked.
func revised() *verification.Record {
	return &verification.Record{Flow: "identity", Transition: verification.Transition{
		VerificationID: uuid.MustParse("0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d"), Version: 4,
		Scope: verification.Scope{Project: "marked-project", Environment: verification.Test},
		From:  verification.Approved, To: verification.Declined,
		Event: verification.RevisedToRejected, Source: verification.SourceProvider,
		Rung: verification.Rung("marked-rung"), Match: verification.Inferred,
		ReasonCodes: []string{"document_forged"}, Reason: "marked words",
		DeliveryID: uuid.MustParse("0197a3c2-aaaa-7d3e-9a52-0d4f6f1b2c3d"),
		CreateTime: time.Date(2026, time.May, 17, 10, 30, 0, 123456000, time.UTC),
	}}
}

// sorted is a message as JSON with its fields in the order of their names.
func sorted(t *testing.T, e *verigatev1.Event) string {
	t.Helper()
	text, err := protojson.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, again, "", "  "); err != nil {
		t.Fatal(err)
	}
	return indented.String()
}

func TestAnEventSaysTheWholeTransitionAndNothingPersonal(t *testing.T) {
	t.Parallel()
	got := sorted(t, contract.Event(revised()))
	if got != goldenEvent {
		t.Errorf("the event is\n%s\nwant\n%s", got, goldenEvent)
	}
	if strings.Contains(got, "marked") || strings.Contains(got, "aaaa") {
		t.Errorf("the event tells what is nobody's business:\n%s", got)
	}
}

func TestTheFirstEventHasNoStateBefore(t *testing.T) {
	t.Parallel()
	first := contract.Event(&verification.Record{Flow: "identity", Transition: verification.Transition{
		VerificationID: uuid.New(), Version: 1, To: verification.Created, Event: verification.Started, Source: verification.SourceCaller,
	}})
	if first.GetPreviousState() != 0 || first.GetMatch() != 0 || first.GetTerminal() || first.GetRevision() || first.GetCreateTime() != nil {
		t.Errorf("the first event is %v", first)
	}
}

func TestListsOfWordsAreReadInTheirOrder(t *testing.T) {
	t.Parallel()
	kinds := contract.Kinds([]verigatev1.EventKind{
		verigatev1.EventKind_EVENT_KIND_REJECTED, verigatev1.EventKind(99), verigatev1.EventKind_EVENT_KIND_PASSED,
	})
	if !slices.Equal(kinds, []verification.EventKind{verification.Rejected, verification.Passed}) {
		t.Errorf("kinds are read as %v", kinds)
	}
	states := contract.States([]verigatev1.VerificationState{verigatev1.VerificationState_VERIFICATION_STATE_IN_REVIEW})
	if !slices.Equal(states, []verification.State{verification.InReview}) {
		t.Errorf("states are read as %v", states)
	}
	effects := contract.Effects([]verigatev1.Effect{verigatev1.Effect_EFFECT_NOTED})
	if !slices.Equal(effects, []verification.Effect{verification.Kept}) {
		t.Errorf("effects are read as %v", effects)
	}
	waiting := contract.CallbackStates([]verigatev1.CallbackState{verigatev1.CallbackState_CALLBACK_STATE_WAITING})
	if !slices.Equal(waiting, []verification.CallbackState{verification.CallbackWaiting}) {
		t.Errorf("states of callbacks are read as %v", waiting)
	}
}
