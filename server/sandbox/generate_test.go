package sandbox_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/sandbox"
)

func TestGenerate(t *testing.T) {
	t.Parallel()

	t.Run("answers exactly the three documented fields", func(t *testing.T) {
		t.Parallel()
		l := open(t, nil)
		a := l.control(http.MethodPost, "/hosted/generate", `{"product":"verifyidentity",
			"redirect_url":"myapp://verify-complete?result=pass",
			"failure_redirect_url":"https://example.com/fail","expires_in_hours":1,
			"page_title":"Identity","success_message":"Done","failure_message":"Sorry"}`)
		if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/json" {
			t.Fatalf("got %d %s", a.status, a.body)
		}
		var fields map[string]string
		a.decode(t, &fields)
		if len(fields) != 3 {
			t.Errorf("fields = %v", fields)
		}
		if fields["hosted_url"] != l.url+"/hosted/v/"+fields["token"] || len(fields["token"]) < 20 {
			t.Errorf("hosted_url = %q, token = %q", fields["hosted_url"], fields["token"])
		}
		if fields["expires_at"] != "2026-05-17T11:30:00Z" {
			t.Errorf("expires_at = %q", fields["expires_at"])
		}
	})

	t.Run("takes the key in either header", func(t *testing.T) {
		t.Parallel()
		l := open(t, nil)
		for _, header := range []string{bearer, "Authorization: bearer " + apiKey, "X-API-Key: " + apiKey} {
			if a := l.call(http.MethodPost, "/hosted/generate", identity, asJSON, header); a.status != http.StatusOK {
				t.Errorf("%s: %d", header, a.status)
			}
		}
	})

	t.Run("refuses any other key with the documented body", func(t *testing.T) {
		t.Parallel()
		l := open(t, nil)
		for _, header := range []string{
			"X-Nothing: 1", "Authorization: Bearer wrong", "Authorization: Basic " + apiKey,
			"Authorization: " + apiKey, "X-API-Key: " + apiKey + "x", "X-API-Key: " + clientKey,
		} {
			a := l.call(http.MethodPost, "/hosted/generate", identity, asJSON, header)
			if a.status != http.StatusUnauthorized || a.body != `{"error":"Invalid API key","status":"ERROR"}` {
				t.Errorf("%s: %d %s", header, a.status, a.body)
			}
		}
	})
}

func TestGenerateRefusesBadRequests(t *testing.T) {
	t.Parallel()
	l := open(t, nil)
	redirect := func(target string) string {
		text, err := json.Marshal(map[string]string{"product": "verifyage", "redirect_url": target})
		if err != nil {
			t.Fatalf("encode: %v", err)
		}
		return string(text)
	}
	for _, c := range []struct{ name, body, want string }{
		{"no product", `{}`, "product: must be verifyhuman"},
		{"an unknown product", `{"product":"verifydog"}`, "product: must be verifyhuman"},
		{"a product that is no string", `{"product":1}`, "product: must be a string"},
		{"fractional hours", `{"product":"verifyage","expires_in_hours":1.5}`, "expires_in_hours: must be a whole number"},
		{"hours in quotes", `{"product":"verifyage","expires_in_hours":"1"}`, "expires_in_hours: must be"},
		{"zero hours", `{"product":"verifyage","expires_in_hours":0}`, "expires_in_hours: must be"},
		{"negative hours", `{"product":"verifyage","expires_in_hours":-1}`, "expires_in_hours: must be"},
		{"too many hours", `{"product":"verifyage","expires_in_hours":8761}`, "expires_in_hours: must be"},
		{"null hours", `{"product":"verifyage","expires_in_hours":null}`, "expires_in_hours: must be"},
		{"an undocumented field", `{"product":"verifyage","metadata":{}}`, "metadata: unknown field"},
		{"a list", `[]`, "body: must be one JSON object"},
		{"null", `null`, "body: must be one JSON object"},
		{"nothing", ``, "body: must be one JSON object"},
		{"two objects", `{"product":"verifyage"}{}`, "body: must be one JSON object"},
		{"too large a body", `{"page_title":"` + strings.Repeat("x", 64<<10) + `"}`, "body: must be at most"},
		{"a script", redirect("javascript:alert(1)"), "redirect_url: has a scheme"},
		{"a script in capitals", redirect("JavaScript:alert(1)"), "redirect_url: has a scheme"},
		{"a data URL", redirect("data:text/html,x"), "redirect_url: has a scheme"},
		{"a relative URL", redirect("/done"), "redirect_url: must be an absolute URL"},
		{"a protocol-relative URL", redirect("//example.com/done"), "redirect_url: must be an absolute URL"},
		{"plain http", redirect("http://example.com/done"), "redirect_url: is plain http"},
		{"a loopback look-alike", redirect("http://127.0.0.1.example.com/"), "redirect_url: is plain http"},
		{"https without a host", redirect("https:///done"), "redirect_url: has no host"},
		{"a user in the URL", redirect("https://a@example.com/"), "redirect_url: must not carry a user"},
		{"a bare scheme", redirect("myapp:"), "redirect_url: has nothing after"},
		{"a space", redirect(" https://example.com/"), "redirect_url: must not contain spaces"},
		{"a line break", redirect("https://example.com/\r\nX: y"), "redirect_url: must not contain spaces"},
		{"a control character", redirect("java\tscript:alert(1)"), "redirect_url: must be an absolute URL"},
		{"an endless URL", redirect("https://example.com/" + strings.Repeat("x", 2048)), "redirect_url: is longer"},
		{
			"a bad failure redirect", `{"product":"verifyage","failure_redirect_url":"file:///etc/passwd"}`,
			"failure_redirect_url: has a scheme",
		},
	} {
		t.Run("such as "+c.name, func(t *testing.T) {
			t.Parallel()
			a := (&lab{t: t, url: l.url, client: newClient(t)}).control(http.MethodPost, "/hosted/generate", c.body)
			var problem struct{ Error, Status string }
			a.decode(t, &problem)
			if a.status != http.StatusBadRequest || problem.Status != "ERROR" || !strings.Contains(problem.Error, c.want) {
				t.Errorf("got %d %s", a.status, a.body)
			}
		})
	}

	t.Run("such as another content type", func(t *testing.T) {
		t.Parallel()
		l := &lab{t: t, url: l.url, client: newClient(t)}
		for _, contentType := range []string{"", "text/plain", "application/json; charset", asForm} {
			a := l.call(http.MethodPost, "/hosted/generate", identity, bearer, "Content-Type: "+contentType)
			if a.status != http.StatusBadRequest || !strings.Contains(a.body, "Content-Type: must be application/json") {
				t.Errorf("%q: %d %s", contentType, a.status, a.body)
			}
		}
	})
}

func TestGenerateAcceptsRedirects(t *testing.T) {
	t.Parallel()
	l := open(t, nil)
	for _, target := range []string{
		"https://example.com", "https://example.com:8443/a?b=c#d", "http://127.0.0.1:3000/r/x", "http://localhost/",
		"http://[::1]:1/", "myapp://verify-complete?result=pass", "com.example.app:/done", "myapp:done",
	} {
		l.token(`{"product":"verifyhuman","redirect_url":"` + target + `","failure_redirect_url":"` + target + `"}`)
	}
}

func TestGenerateFaults(t *testing.T) {
	t.Parallel()

	t.Run("play every refusal", func(t *testing.T) {
		t.Parallel()
		l := open(t, nil)
		for status, want := range map[int]string{
			401: "Invalid API key", 402: "No verification credits remaining", 403: "API key does not include",
			429: "Too many requests", 500: "answer 500", 503: "answer 503",
		} {
			if err := l.emulator.SetFaults(sandbox.Faults{GenerateStatus: status}); err != nil {
				t.Fatalf("SetFaults: %v", err)
			}
			a := l.control(http.MethodPost, "/hosted/generate", identity)
			if a.status != status || !strings.Contains(a.body, want) {
				t.Errorf("%d: got %d %s", status, a.status, a.body)
			}
			if got := a.header.Get("Retry-After"); (got != "") != (status == http.StatusTooManyRequests) {
				t.Errorf("%d: Retry-After = %q", status, got)
			}
		}
	})

	t.Run("hang until the caller gives up", func(t *testing.T) {
		t.Parallel()
		l := open(t, func(o *sandbox.Options) { o.Faults.GenerateHang = true })
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url+"/hosted/generate",
			strings.NewReader(identity))
		if err != nil {
			t.Fatalf("make a request: %v", err)
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("X-Api-Key", apiKey)
		response, err := l.client.Do(request)
		if err == nil {
			_ = response.Body.Close()
			t.Fatalf("got an answer: %d", response.StatusCode)
		}
		if ctx.Err() == nil {
			t.Errorf("failed before the deadline: %v", err)
		}
	})

	t.Run("hang no longer than the emulator lives", func(t *testing.T) {
		t.Parallel()
		l := open(t, func(o *sandbox.Options) { o.Faults.GenerateHang = true })
		answers := make(chan answer, 1)
		go func() { answers <- l.control(http.MethodPost, "/hosted/generate", identity) }()
		if err := l.emulator.Close(t.Context()); err != nil {
			t.Fatalf("Close: %v", err)
		}
		if a := take(t, answers); a.status != http.StatusServiceUnavailable {
			t.Errorf("got %d %s", a.status, a.body)
		}
	})
}

func TestSessionsAreBounded(t *testing.T) {
	t.Parallel()
	l := open(t, func(o *sandbox.Options) { o.MaxSessions = 2 })
	first, second, third := l.token(identity), l.token(identity), l.token(identity)
	for token, want := range map[string]int{
		first: http.StatusNotFound, second: http.StatusOK, third: http.StatusOK,
	} {
		if a := l.call(http.MethodGet, "/hosted/v/"+token, ""); a.status != want {
			t.Errorf("got %d, want %d", a.status, want)
		}
	}
}
