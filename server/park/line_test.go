package park_test

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/park"
)

// A reader that does not read holds one goroutine until its message is late, and
// loses its stream then.
func TestAReaderThatDoesNotReadIsCutOff(t *testing.T) {
	t.Parallel()
	for name, http2 := range map[string]bool{"over HTTP 1.1": false, "over HTTP 2": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			site, live := newSite(t, park.Timing{Heartbeat: time.Hour, MaxAge: time.Hour, Write: 100 * time.Millisecond}), newScript()
			w := wire{name: "Connect " + name, http2: http2}
			flood := frame(t, w, strings.Repeat("x", 60<<10))
			var stream *park.Stream
			live.follow = func(context.Context) (park.Next, error) { return park.More, stream.Send(flood) }
			site.live = func(context.Context) *script { return live }
			// It took the first message and reads no more.
			site.open(t.Context(), t, w)
			stream = await(t, "it begins", live.begun)
			stream.News()
			if err := await(t, "it is cut off", live.ended); err == nil {
				t.Error("it ended well")
			}
			eventually(t, "its place is free", func() bool { return site.Count() == 0 })
		})
	}
}

func TestAConnectionServesOnAfterAParkedStream(t *testing.T) {
	t.Parallel()
	site := newSite(t, quiet())
	live := newScript()
	live.follow = func(context.Context) (park.Next, error) { return park.Done, nil }
	site.live = func(context.Context) *script { return live }
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(site.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	request := "POST " + procedure + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/connect+json\r\nContent-Length: 7\r\n\r\n\x00\x00\x00\x00\x02\"\""
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	await(t, "it begins", live.begun).News()
	await(t, "it ends", live.ended)
	site.live = func(context.Context) *script { return nil }
	if _, err := io.WriteString(conn, request+"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(all), "HTTP/1.1 200 OK"); n != 2 || !strings.Contains(string(all), "404 Not Found") {
		t.Errorf("the line carried %q", all)
	}
}
