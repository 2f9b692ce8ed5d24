package park

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// serveOne answers one request over HTTP/2 or HTTP/1.1 and returns the body.
func serveOne(t *testing.T, http2 bool, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetUnencryptedHTTP2(http2)
	server.Config.Protocols = protocols
	server.Start()
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{Protocols: protocols}}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if closeErr := response.Body.Close(); err != nil || closeErr != nil {
		t.Fatal(err, closeErr)
	}
	return string(body)
}

// When one of these fails, net/http has changed: a parked stream costs more, and
// slim.go wants another look.

func TestAnHTTP2ResponseGivesItsHeadersUpWhenTheyAreSent(t *testing.T) {
	t.Parallel()
	body := serveOne(t, true, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Early", "1")
		slim(w)()
		if w.Header().Get("X-Early") != "1" {
			t.Error("headers are taken away before they are sent")
		}
		_ = http.NewResponseController(w).Flush()
		kept := sentHeaders(w)
		if len(kept) != 2 || len(*kept[0]) == 0 || len(*kept[1]) == 0 {
			t.Error("net/http keeps the headers somewhere else now")
			return
		}
		defer slim(w)()
		if *kept[0] != nil || *kept[1] != nil {
			t.Error("the headers are kept")
		}
		w.Header().Set(http.TrailerPrefix+"X-Late", "1")
		_, _ = io.WriteString(w, "whole")
	})
	if body != "whole" {
		t.Errorf("%q arrived", body)
	}
}

func TestAnHTTP2ResponseGivesItsBufferUp(t *testing.T) {
	t.Parallel()
	const whole = 4 << 10
	long := strings.Repeat("long ", whole/2)
	body := serveOne(t, true, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "first ")
		if responseBuffer(w) != nil {
			t.Error("a buffer is taken away that is not empty")
		}
		_ = http.NewResponseController(w).Flush()
		if buffer := responseBuffer(w); buffer == nil || len(*buffer) != whole {
			t.Error("net/http keeps the buffer somewhere else now")
			return
		}
		restore := slim(w)
		if responseBuffer(w) != nil {
			t.Error("it is taken away twice")
		}
		_, _ = io.WriteString(w, "short ")
		_ = http.NewResponseController(w).Flush()
		_, _ = io.WriteString(w, long)
		_, _ = io.WriteString(w, "rest ")
		restore()
		if buffer := responseBuffer(w); buffer != nil {
			t.Error("what was buffered is gone")
		}
		_ = http.NewResponseController(w).Flush()
		if buffer := responseBuffer(w); buffer == nil || len(*buffer) != whole {
			t.Error("the buffer was not given back")
		}
		_, _ = io.WriteString(w, "last")
	})
	if want := "first short " + long + "rest last"; body != want {
		t.Errorf("%d bytes arrived, %d were sent", len(body), len(want))
	}
}

func TestOtherWritersAreLeftAlone(t *testing.T) {
	t.Parallel()
	type odd struct{ http.ResponseWriter }
	if len(sentHeaders(httptest.NewRecorder())) > 0 || len(sentHeaders(odd{})) > 0 || len(sentHeaders(nil)) > 0 {
		t.Error("headers were found where there are none")
	}
	if responseBuffer(httptest.NewRecorder()) != nil || responseBuffer(&odd{}) != nil || responseBuffer(odd{}) != nil || responseBuffer(nil) != nil {
		t.Error("a buffer was found where there is none")
	}
	body := serveOne(t, false, func(w http.ResponseWriter, _ *http.Request) {
		defer slim(w)()
		if responseBuffer(w) != nil {
			t.Error("HTTP/1.1 has such a buffer")
		}
		_, _ = io.WriteString(w, "whole")
	})
	if body != "whole" {
		t.Errorf("%q arrived", body)
	}
}
