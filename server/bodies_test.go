package server_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// bomb is a gzip stream of about 60 KiB that inflates to 60 MiB.
func bomb(t *testing.T) []byte {
	t.Helper()
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range 60 {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if packed.Len() >= 64<<10 {
		t.Fatalf("the bomb is %d bytes, so its size alone would be refused", packed.Len())
	}
	return packed.Bytes()
}

// It is not parallel, so that nobody else allocates.
func TestABombIsRefusedBeforeItIsInflated(t *testing.T) {
	g := open(t, nil)
	packed := bomb(t)
	// An envelope with the flag for a compressed message.
	framed := append(binary.BigEndian.AppendUint32([]byte{1}, uint32(len(packed))), packed...)
	for _, c := range []struct {
		name, procedure, contentType, encoding string
		body                                   []byte
		http2                                  bool
		said                                   string
	}{
		{"a health check", "/grpc.health.v1.Health/Check", "application/json", "Content-Encoding", packed, false, "resource_exhausted"},
		{"a health check over gRPC", "/grpc.health.v1.Health/Check", "application/grpc+json", "Grpc-Encoding", framed, true, "8"},
		{"reflection", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "application/grpc+json", "Grpc-Encoding", framed, true, "8"},
		{"Connect", "StartVerification", "application/json", "Content-Encoding", packed, false, "resource_exhausted"},
		{"gRPC", "StartVerification", "application/grpc+json", "Grpc-Encoding", framed, true, "8"},
		{"gRPC-Web", "StartVerification", "application/grpc-web+json", "Grpc-Encoding", framed, false, "8"},
		// Streams know no compression at all.
		{"a Connect stream", "WatchStatus", "application/connect+json", "Connect-Content-Encoding", framed, false, "unimplemented"},
		{"a gRPC-Web stream", "WatchStatus", "application/grpc-web+json", "Grpc-Encoding", framed, false, "12"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		response := postPacked(t, newHTTPClient(t, c.http2, g.key), g.url+pathOf(c.procedure), c.body, c.contentType, c.encoding)
		runtime.ReadMemStats(&after)
		if !strings.Contains(response, c.said) {
			t.Errorf("%s: answered %s, want it to say %s", c.name, response, c.said)
		}
		const most = 2 << 20 // client and server together; inflated it would be thirty times that
		if took := after.TotalAlloc - before.TotalAlloc; took > most {
			t.Errorf("%s: the refusal took %d bytes of memory, want at most %d", c.name, took, most)
		}
	}
}

// pathOf is the path of a procedure of VerificationService, or a path as it is.
func pathOf(procedure string) string {
	if strings.HasPrefix(procedure, "/") {
		return procedure
	}
	return service + procedure
}

// postPacked posts a compressed body and returns what is said of it, body and gRPC
// status.
func postPacked(t *testing.T, client *http.Client, url string, body []byte, contentType, encoding string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", contentType)
	request.Header.Set(encoding, "gzip")
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d %s %s %s", response.StatusCode, text, response.Header.Get("Grpc-Status"), response.Trailer.Get("Grpc-Status"))
}

func TestHeadersBeyondTheCapAreRefused(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	a := g.call(http.MethodPost, service+"ListVerifications", "{}", "Content-Type: application/json",
		"Authorization: Bearer "+g.key, "X-Filler: "+long(40<<10))
	if a.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("over HTTP/1.1 it was answered %d %s", a.status, a.body)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.url+"/livez", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Filler", long(40<<10))
	response, err := newHTTPClient(t, true, "").Do(request)
	if err == nil {
		_ = response.Body.Close()
		if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("over HTTP/2 it was answered %d", response.StatusCode)
		}
	}
	if a := g.call(http.MethodGet, "/livez", "", "X-Filler: "+long(16<<10)); a.status != http.StatusOK {
		t.Errorf("headers below the cap: %d", a.status)
	}
}

// cutAfter is how long a slow sender may take at most; the settings are 5 s for
// headers and 10 s for a message.
const cutAfter = 18 * time.Second

func TestAClientThatSendsTooSlowlyIsCutOff(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	head := "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + g.key + "\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
	var all sync.WaitGroup
	for name, sent := range map[string]string{
		"in its headers":         "POST /webhooks/fake HTTP/1.1\r\nHost: x\r\nX-Slow",
		"in a webhook":           fmt.Sprintf(head, "/webhooks/fake"),
		"in a call":              fmt.Sprintf(head, service+"StartVerification"),
		"in an operator's call":  fmt.Sprintf(head, "/verigate.v1.OperatorService/CreateApiKey"),
		"in a health check":      fmt.Sprintf(head, "/grpc.health.v1.Health/Check"),
		"in a look at livez":     strings.Replace(fmt.Sprintf(head, "/livez"), "POST", "GET", 1),
		"on the way back":        strings.Replace(fmt.Sprintf(head, "/return/nonce"), "POST", "GET", 1),
		"where there is nothing": fmt.Sprintf(head, "/nowhere"),
		"in a refused call":      strings.Replace(fmt.Sprintf(head, service+"StartVerification"), g.key, "nobody", 1),
	} {
		all.Go(func() {
			began := time.Now()
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(g.url, "http://"))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			defer func() { _ = conn.Close() }()
			if err := conn.SetDeadline(began.Add(cutAfter)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := conn.Write([]byte(sent)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			// It ends when the gateway hangs up; the deadline is an error.
			if said, err := io.ReadAll(conn); err != nil {
				t.Errorf("a client that stops %s is still there after %v: %v, and was told %q", name, time.Since(began), err, said)
			}
		})
	}
	all.Wait()
}
