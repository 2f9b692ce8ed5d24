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
	e := newEdge(t, slowTiming(), time.Minute)
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
	e := newEdge(t, slowTiming(), time.Minute)
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
			e := newEdge(t, slowTiming(), time.Minute)
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

func TestAnOpenStreamIsOneLineWithItsIDsWhenItEnds(t *testing.T) {
	t.Parallel()
	for name, http2 := range map[string]bool{"over HTTP 1.1": false, "over HTTP 2": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEdge(t, slowTiming(), time.Minute)
			stream, err := overHTTP(t, e.serve(t), http2).WatchStatus(t.Context(), &verigatev1.WatchStatusRequest{Id: e.id()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = stream.Close() })
			if _, err := stream.Receive(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "it is parked", func() bool { return e.service.Lot.Count() == 1 })
			if log := e.logs.String(); log != "" {
				t.Errorf("while it is open the log says %s", log)
			}
			const open = 50 * time.Millisecond
			<-time.After(open)
			e.move(verification.Approved)
			for err == nil {
				_, err = stream.Receive()
			}
			eventually(t, "the line is written", func() bool { return e.logs.String() != "" })
			var line struct {
				Code    string        `json:"code"`
				ID      string        `json:"verification_id"`
				Request string        `json:"request_id"`
				Caller  string        `json:"caller"`
				Took    time.Duration `json:"took"`
			}
			if err := json.Unmarshal([]byte(e.logs.String()), &line); err != nil {
				t.Fatal(err)
			}
			if line.Code != "ok" || line.ID != e.id() || line.Request == "" || line.Caller != "key:k" || line.Took < open {
				t.Errorf("logged %+v", line)
			}
			e.calls.mu.Lock()
			defer e.calls.mu.Unlock()
			if len(e.calls.codes) != 1 || e.calls.codes[0] != "ok" {
				t.Errorf("counted %v", e.calls.codes)
			}
		})
	}
}
