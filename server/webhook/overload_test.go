package webhook_test

import (
	"bufio"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/verification"
)

// wantShed fails unless a request was refused for want of room.
func wantShed(t *testing.T, response *http.Response) {
	t.Helper()
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") != "1" {
		t.Errorf("answered %d, Retry-After %q", response.StatusCode, response.Header.Get("Retry-After"))
	}
}

func TestAFullNodeRefusesBeforeItReads(t *testing.T) {
	t.Parallel()
	in := serve(t, 0)
	in.full = true
	wantShed(t, in.post(t, "{}"))
	if len(in.stored) != 0 || in.lookups != 0 || len(in.buckets) != 0 || !slices.Equal(in.refused, []string{"/overload"}) {
		t.Errorf("stored %d, looked up %d, asked %v, counted %v", len(in.stored), in.lookups, in.buckets, in.refused)
	}
	in.full = false
	if response := in.post(t, "{}"); response.StatusCode != http.StatusOK {
		t.Errorf("with room again it answers %d", response.StatusCode)
	}
}

// The node may fill up while a request is read.
func TestWhatFindsNoRoomIsToldToComeBack(t *testing.T) {
	t.Parallel()
	in := serve(t, 0)
	in.storeErr = verification.NewError(verification.KindLimited, "OVERLOADED", "too many").After(time.Second)
	wantShed(t, in.post(t, "{}"))
	if !slices.Equal(in.refused, []string{"fake/overload"}) {
		t.Errorf("counted %v", in.refused)
	}
	if strings.Contains(in.logged(), "could not store") {
		t.Errorf("a full node logs each refusal as an error: %s", in.logged())
	}
}

// Large bodies that nobody authenticated yet may not fill the memory: only so
// many are in hand at a time from one address. Small ones are not held up by them, nor are
// those of unknown length.
func TestOnlySoManyLargeBodiesAreInHand(t *testing.T) {
	t.Parallel()
	const most, large = 8, 64<<10 + 1
	in := serve(t, patience)
	for range most {
		// All but the last byte: the rest does not come.
		in.raw(t, fmt.Sprintf("POST /webhooks/fake HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", large)+strings.Repeat("x", large-1))
	}
	body := `"` + strings.Repeat("x", large) + `"`
	// Those above are accepted one after the other: until the last was, one more
	// finds room.
	for end := time.Now().Add(patience); ; {
		response := in.post(t, body)
		if response.StatusCode == http.StatusServiceUnavailable {
			wantShed(t, response)
			break
		}
		if response.StatusCode != http.StatusOK || time.Now().After(end) {
			t.Fatalf("answered %d, and nothing was refused", response.StatusCode)
		}
	}
	if response := in.post(t, "{}"); response.StatusCode != http.StatusOK {
		t.Errorf("a small body is answered %d", response.StatusCode)
	}
	conn := in.raw(t, "POST /webhooks/fake HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"+
		"X-Fake-Signature: good\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("a small body of unknown length is answered %d, %v", response.StatusCode, err)
	}
}

func TestALargeBodyGivesItsPlaceBack(t *testing.T) {
	t.Parallel()
	const more = 200
	in := serve(t, 0)
	body := `"` + strings.Repeat("x", 65<<10) + `"`
	for range more {
		if response := in.post(t, body); response.StatusCode != http.StatusOK {
			t.Fatalf("answered %d", response.StatusCode)
		}
	}
}
