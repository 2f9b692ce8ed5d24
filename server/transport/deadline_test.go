package transport_test

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/transport"
)

// Whoever asks and asks and never reads is cut off on HTTP/1.1 too, which has no
// pings.
func TestAClientThatDoesNotReadIsCutOff(t *testing.T) {
	t.Parallel()
	const leave = 500 * time.Millisecond
	answer := []byte(strings.Repeat("x", 16<<10))
	handler := transport.WithShortDeadlines(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(answer)
	}), time.Minute, leave)
	server := transport.NewHTTPServer(transport.WithRecovery(handler, slog.New(slog.DiscardHandler)), slog.New(slog.DiscardHandler))
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		<-served
	})
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetWriteDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	request := strings.Repeat("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 100)
	for {
		if _, err = io.WriteString(conn, request); err != nil {
			break
		}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("it is still connected: %v", err)
	}
}
