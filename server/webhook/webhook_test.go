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

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/verification"
	"github.com/verigate/verigate/server/webhook"
)

func TestADeliveryIsHandedOverAsItArrived(t *testing.T) {
	t.Parallel()
	in := serve(t, 0)
	body := " {\"a\":\r\n1}\t"
	response := in.post(t, body, "Content-Type: application/json; charset=utf-8", "X-Fake-Event: done",
		"Authorization: Bearer marked", "X-Fake-Token: marked", "X-Forwarded-For: 192.0.2.1", "Cookie: marked", "X-Long: "+strings.Repeat("l", 300))
	if response.StatusCode != http.StatusOK || len(in.stored) != 1 {
		t.Fatalf("answered %d, stored %d", response.StatusCode, len(in.stored))
	}
	d := in.stored[0]
	if string(d.Body) != body || d.Connection != "fake" || d.Scope.Project != "shop" || d.DedupeKey != "d1" ||
		d.ProviderEvent != "done" || !d.ReceiveTime.Equal(receiveTime()) || d.Effect != "" {
		t.Errorf("stored %+v", d)
	}
	if d.Headers["X-Fake-Event"] != "done" || len(d.Headers["X-Long"]) != 200 {
		t.Errorf("kept the headers %v", d.Headers)
	}
	for _, name := range []string{"Authorization", "X-Fake-Token", "X-Fake-Signature", "X-Forwarded-For", "Cookie"} {
		if _, kept := d.Headers[name]; kept {
			t.Errorf("the header %s was kept", name)
		}
	}
}

func TestWhatTheAdapterReadDecidesTheEffect(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		notice provider.Notice
		err    error
		want   verification.Effect
	}{
		"a ping":             {notice: provider.Notice{Kind: provider.NoticePing}, want: verification.Ping},
		"an unknown type":    {notice: provider.Notice{Kind: provider.NoticeUnknown}, want: verification.Unknown},
		"an event":           {notice: provider.Notice{Kind: provider.NoticeEvent}, want: ""},
		"an unreadable body": {err: errors.New("no JSON"), want: verification.Unreadable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := serve(t, 0)
			in.notice, in.decodeErr = c.notice, c.err
			if response := in.post(t, "{}"); response.StatusCode != http.StatusOK || len(in.stored) != 1 {
				t.Fatalf("answered %d, stored %d", response.StatusCode, len(in.stored))
			}
			if d := in.stored[0]; d.Effect != c.want || (c.err != nil && !strings.HasPrefix(d.DedupeKey, "sha256:")) {
				t.Errorf("stored with the effect %q and key %q", d.Effect, d.DedupeKey)
			}
		})
	}
}

func TestAnUnknownStatusIsCountedAndNamed(t *testing.T) {
	t.Parallel()
	in := serve(t, 0)
	in.notice.UnknownStatus, in.notice.UnknownFields = "ODD", []string{"surprise"}
	in.post(t, `{"surprise":"marked value"}`)
	if len(in.unknown) != 1 || in.unknown[0] != "fake" {
		t.Errorf("counted %v", in.unknown)
	}
	if log := in.logged(); !strings.Contains(log, "ODD") || !strings.Contains(log, "surprise") || strings.Contains(log, "marked value") {
		t.Errorf("logged %s", log)
	}
}

func TestABadSignatureLeavesACountAndNothingElse(t *testing.T) {
	t.Parallel()
	in := serve(t, 0)
	response := in.post(t, `{"a":"marked value"}`, "X-Fake-Signature: marked-bad")
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusUnauthorized || strings.TrimSpace(string(text)) != "Unauthorized" {
		t.Errorf("answered %d %q", response.StatusCode, text)
	}
	if len(in.stored) != 0 || len(in.refused) != 1 || in.refused[0] != "fake/signature" {
		t.Errorf("stored %d, counted %v", len(in.stored), in.refused)
	}
	if strings.Contains(in.logged(), "marked") {
		t.Errorf("logged %s", in.logged())
	}
}

func TestOnlyOurOwnFailureIsA5xx(t *testing.T) {
	t.Parallel()
	in := serve(t, 0)
	in.storeErr = errors.New("marked detail")
	response := in.post(t, "{}")
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" || strings.Contains(string(text), "marked") {
		t.Errorf("answered %d %q, Retry-After %q", response.StatusCode, text, response.Header.Get("Retry-After"))
	}
}

func TestABodyIsTakenUpToTheCap(t *testing.T) {
	t.Parallel()
	in := serve(t, 0)
	for size, want := range map[int]int{
		0: http.StatusOK, webhook.MaxBody: http.StatusOK, webhook.MaxBody + 1: http.StatusRequestEntityTooLarge,
	} {
		if response := in.post(t, strings.Repeat(" ", size)); response.StatusCode != want {
			t.Errorf("%d bytes: %d, want %d", size, response.StatusCode, want)
		}
	}
}

// dripping is a request whose body does not come.
const dripping = "POST /webhooks/%s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nX-Fake-Signature: good\r\nContent-Length: 100\r\n\r\n{"

func TestADrippingUploadEndsInTime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		connection, contentType string
		want                    int
	}{
		"of a webhook":                {"fake", "application/json", http.StatusRequestTimeout},
		"of something refused":        {"fake", "text/plain", http.StatusUnsupportedMediaType},
		"to a connection of nobody's": {"nobody", "application/json", http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := serve(t, 50*time.Millisecond)
			conn := in.raw(t, fmt.Sprintf(dripping, c.connection, c.contentType))
			if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			reader := bufio.NewReader(conn)
			response, err := http.ReadResponse(reader, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.Copy(io.Discard, response.Body)
			if closeErr := response.Body.Close(); err != nil || closeErr != nil || response.StatusCode != c.want {
				t.Errorf("answered %d, want %d (%v, %v)", response.StatusCode, c.want, err, closeErr)
			}
			if _, err := reader.ReadByte(); !errors.Is(err, io.EOF) {
				t.Errorf("the connection stays open: %v", err)
			}
			if len(in.stored) != 0 {
				t.Error("half a webhook was stored")
			}
		})
	}
}

func TestAnAbortedUploadIsNotStored(t *testing.T) {
	t.Parallel()
	in := serve(t, 0)
	conn := in.raw(t, fmt.Sprintf(dripping, "fake", "application/json"))
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-in.heard:
	case <-time.After(patience):
		t.Fatal("the ingress did not notice")
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.stored) != 0 || len(in.refused) != 1 || in.refused[0] != "fake/body" {
		t.Errorf("stored %d, counted %v", len(in.stored), in.refused)
	}
}

func TestAConnectionIsGoodForTheNextWebhook(t *testing.T) {
	t.Parallel()
	in := serve(t, 200*time.Millisecond)
	request := "POST /webhooks/fake HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Fake-Signature: good\r\nContent-Length: 2\r\n\r\n{}"
	conn := in.raw(t, request)
	reader := bufio.NewReader(conn)
	for round := range 3 {
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if err := response.Body.Close(); err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("round %d: %d, %v", round, response.StatusCode, err)
		}
		if _, err := conn.Write([]byte(request)); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
}
