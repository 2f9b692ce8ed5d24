package webhook_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/verification"
)

func full() error { return verification.NewError(verification.KindLimited, "RATE_LIMITED", "later") }

func TestAnAddressThatSendsTooMuchIsToldToComeBack(t *testing.T) {
	t.Parallel()
	in := serve(t, 0)
	in.limit = full()
	response := in.post(t, "{}")
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusTooManyRequests || response.Header.Get("Retry-After") != "5" || strings.TrimSpace(string(text)) != "Too Many Requests" {
		t.Errorf("answered %d %q, Retry-After %q", response.StatusCode, text, response.Header.Get("Retry-After"))
	}
	if len(in.stored) != 0 || in.lookups != 0 {
		t.Errorf("stored %d, looked up %d connections", len(in.stored), in.lookups)
	}
	if len(in.refused) != 1 || in.refused[0] != "/limit" {
		t.Errorf("counted %v", in.refused)
	}
	if len(in.buckets) != 1 || in.buckets[0] != "127.0.0.1" {
		t.Errorf("the limit was asked about %v, want the sender's address once", in.buckets)
	}
}

func TestTheLimitTellsNothingOfConnections(t *testing.T) {
	t.Parallel()
	in := serve(t, 0)
	in.limit = full()
	for _, connection := range []string{"fake", "nobody"} {
		conn := in.raw(t, fmt.Sprintf("POST /webhooks/%s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", connection))
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if closeErr := response.Body.Close(); closeErr != nil || response.StatusCode != http.StatusTooManyRequests {
			t.Errorf("%s: answered %d, %v", connection, response.StatusCode, closeErr)
		}
	}
}

// The body of this request never comes: had it been read first, the answer would
// be 408.
func TestALimitedUploadIsRefusedBeforeItsBodyIsRead(t *testing.T) {
	t.Parallel()
	in := serve(t, 100*time.Millisecond)
	in.limit = full()
	conn := in.raw(t, fmt.Sprintf(dripping, "fake", "application/json"))
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(io.Discard, response.Body)
	if closeErr := response.Body.Close(); err != nil || closeErr != nil || response.StatusCode != http.StatusTooManyRequests {
		t.Errorf("answered %d (%v, %v), want 429", response.StatusCode, err, closeErr)
	}
	if _, err := reader.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the connection stays open: %v", err)
	}
}

func TestAnAddressWithinItsLimitIsHeard(t *testing.T) {
	t.Parallel()
	in := serve(t, 0)
	for range 3 {
		if response := in.post(t, "{}"); response.StatusCode != http.StatusOK {
			t.Errorf("answered %d", response.StatusCode)
		}
	}
	if len(in.buckets) != 3 || len(in.refused) != 0 {
		t.Errorf("asked about %v, refused %v", in.buckets, in.refused)
	}
}
