package hook_test

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/verigate/verigate/bench/hook"
	"github.com/verigate/verigate/bench/rig"
)

func TestARequestIsWholeAndSigned(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 17, 10, 0, 0, 0, time.UTC)
	set := rig.Set{Names: rig.OwnNames(), Number: 7, Time: now}
	maker := hook.NewMaker(set, "127.0.0.1:1", "whsec_x")
	for _, n := range []int64{0, 255, 1<<40 + 3} {
		request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(maker.Request(n, now))))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(request.Body)
		if err != nil || int64(len(body)) != request.ContentLength {
			t.Fatalf("read %d of %d bytes: %v", len(body), request.ContentLength, err)
		}
		mac := hmac.New(sha256.New, []byte("whsec_x"))
		mac.Write(body)
		if got, want := request.Header.Get("X-VerifyHuman-Signature"), "sha256="+hex.EncodeToString(mac.Sum(nil)); got != want {
			t.Errorf("row %d is signed %s, want %s", n, got, want)
		}
		var payload struct {
			ID, Environment string
			Data            struct{ Token string }
		}
		if err := json.Unmarshal(body, &payload); err != nil {
			t.Fatal(err)
		}
		if payload.Data.Token != set.Name(rig.KindToken, n) || payload.ID != request.Header.Get("X-VerifyHuman-Event-Id") || payload.Environment != "test" {
			t.Errorf("row %d: %+v", n, payload)
		}
	}
}
