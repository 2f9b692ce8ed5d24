package verigate_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/verigate/verigate/clients/faultproxy/fault"
	verigate "github.com/verigate/verigate/clients/go"
	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

func drainIsObeyed(t *testing.T) {
	b := newBench(t, startGateway(t, "--ephemeral", "--max-stream-age", "1s"), false)
	id := b.start()
	w := b.watch(id, verigate.EveryMessage())
	var drain *verigatev1.StatusUpdate
	for drain.GetKind() != verigatev1.StatusUpdateKind_STATUS_UPDATE_KIND_DRAIN {
		drain = w.next()
	}
	calls := b.wait(fault.Condition{Procedure: watchCall, Begun: 2, Messages: 1}).Calls
	asked := drain.GetReconnectAfter().AsDuration()
	if pause := calls[1].BeganMS - *calls[0].EndedMS; pause < asked.Milliseconds()-1 {
		t.Errorf("it came back after %d ms, asked for %s", pause, asked)
	}
	if got := w.pauses(); len(got) == 0 || got[0] != asked {
		t.Errorf("pauses %v, asked for %s", got, asked)
	}
	if request := b.asked(calls[1]); request.GetAfterVersion() != drain.GetVersion() {
		t.Errorf("it came back with %v", request)
	}
	b.complete(id)
	if err := w.end(); err != nil {
		t.Error(err)
	}
}

func restartIsSurvived(t *testing.T) {
	b := newBench(t, startGateway(t), true)
	id := b.start()
	w := b.watch(id)
	first := w.next()
	b.gateway.restart(t)
	b.approve(id)
	w.wantEnd(pass, first.GetVersion())
}

func tenLinesSurvive(t *testing.T) {
	b := newBench(t, startGateway(t), false)
	program := exec.Command(filepath.Join(built, "tenlines"))
	program.Env = append(os.Environ(), "VERIGATE_URL="+b.proxy.URL(), "VERIGATE_API_KEY="+b.gateway.key)
	var stdout, stderr bytes.Buffer
	program.Stdout, program.Stderr = &stdout, &stderr
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- program.Wait() }()
	t.Cleanup(func() { _ = program.Process.Kill() })
	calls := b.wait(fault.Condition{Procedure: watchCall, Begun: 1, Messages: 1})
	b.gateway.restart(t)
	b.approve(b.asked(calls.Calls[0]).GetId())
	select {
	case err := <-ended:
		if err != nil || stdout.String() != "pass\n" {
			t.Errorf("%v: it printed %q\n%s", err, stdout.String(), stderr.String())
		}
	case <-time.After(patience):
		t.Fatalf("it does not end\n%s%s", stdout.String(), stderr.String())
	}
}

// approve sends the webhook that passes a verification. The provider's emulator
// is part of the gateway's process and forgets its sessions with it; a real
// provider does not.
func (b *bench) approve(id string) {
	b.Helper()
	answer, err := b.client().GetVerification(b.Context(), &verigatev1.GetVerificationRequest{Id: id})
	if err != nil {
		b.Fatal(err)
	}
	page, err := url.Parse(answer.GetVerification().GetHostedUrl())
	if err != nil {
		b.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{
		"verification_session_id": page.Query().Get("verification_session_id"), "client_reference_id": id,
		"status": "COMPLETED", "aiprise_summary": map[string]string{"verification_result": "APPROVED"},
	})
	if err != nil {
		b.Fatal(err)
	}
	mac := hmac.New(sha256.New, []byte("sandbox-aiprise-key"))
	mac.Write(body)
	request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, b.gateway.url+"/webhooks/aiprise-sandbox", bytes.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-HMAC-SIGNATURE", hex.EncodeToString(mac.Sum(nil)))
	taken, err := b.http.Do(request)
	if err != nil {
		b.Fatal(err)
	}
	_ = taken.Body.Close()
	if taken.StatusCode != http.StatusOK {
		b.Fatalf("the gateway answered the webhook with %s", taken.Status)
	}
}
