package rpc_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/verification"
)

var errMarked = errors.New("marked cause")

func TestAPanicBecomesAnInternalErrorAndAnErrorLine(t *testing.T) {
	t.Parallel()
	e := newEdge(slowTiming(), time.Minute)
	e.row.reading = func() { panic("marked panic") }
	_, err := e.inProcess().GetVerification(t.Context(), &verigatev1.GetVerificationRequest{Id: e.id()})
	if connect.CodeOf(err) != connect.CodeInternal || strings.Contains(err.Error(), "marked") {
		t.Errorf("the caller got %v, want internal without the panic's text", err)
	}
	if log := e.logs.String(); !strings.Contains(log, "panic in a handler") || strings.Contains(log, "marked panic") {
		t.Errorf("the log says %s", log)
	}
	if len(e.calls.codes) != 1 || e.calls.codes[0] != "internal" {
		t.Errorf("counted %v", e.calls.codes)
	}
}

func TestACallIsOneLineWithItsIDs(t *testing.T) {
	t.Parallel()
	e := newEdge(slowTiming(), time.Minute)
	if _, err := overHTTP(t, e.serve(t), false).GetVerification(t.Context(), &verigatev1.GetVerificationRequest{Id: e.id()}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the line is written", func() bool { return e.logs.String() != "" })
	lines := strings.Split(strings.TrimSpace(e.logs.String()), "\n")
	if len(lines) != 1 {
		t.Fatalf("logged %q, want one line", lines)
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &line); err != nil {
		t.Fatal(err)
	}
	if line["verification_id"] != e.id() || line["request_id"] == "" || line["request_id"] == nil || line["code"] != "ok" ||
		line["procedure"] != "/verigate.v1.VerificationService/GetVerification" {
		t.Errorf("logged %v", line)
	}
}

func TestOurFaultsAreLoggedAsSuch(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err   error
		level string
		cause bool
	}{
		"a broken database is an error":   {verification.NewError(verification.KindInternal, "INTERNAL", "internal error").WithCause(errMarked), "ERROR", true},
		"an absent one is a warning":      {verification.NewError(verification.KindUnavailable, "DATABASE_UNAVAILABLE", "retry").WithCause(errMarked), "WARN", true},
		"the caller's mistake is neither": {verification.ErrNotFound.WithCause(errMarked), "INFO", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEdge(slowTiming(), time.Minute)
			e.row.fail(c.err)
			if _, err := e.inProcess().GetVerification(t.Context(), &verigatev1.GetVerificationRequest{Id: e.id()}); err == nil {
				t.Fatal("no error")
			}
			log := e.logs.String()
			if !strings.Contains(log, `"level":"`+c.level+`"`) || strings.Contains(log, errMarked.Error()) != c.cause {
				t.Errorf("logged %s, want level %s and the cause %t", log, c.level, c.cause)
			}
		})
	}
}
