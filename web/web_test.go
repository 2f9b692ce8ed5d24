package web_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/web"
)

const (
	host     = "127.0.0.1:8080"
	idOfAll  = "0193a1f0-7c1e-7d2b-9a57-000000000001"
	hosted   = "http://127.0.0.1:8080/sandbox/hosted/v/token"
	appToken = "client-token"
)

// gateway is a fake of the generated client: it keeps what it was asked and
// answers err or a fixed verification.
type gateway struct {
	verigatev1connect.VerificationServiceClient
	err   error
	asked []*verigatev1.StartVerificationRequest
}

func (g *gateway) StartVerification(ctx context.Context, r *verigatev1.StartVerificationRequest) (*verigatev1.StartVerificationResponse, error) {
	g.asked = append(g.asked, r)
	if g.err != nil {
		return nil, g.err
	}
	if _, bounded := ctx.Deadline(); !bounded {
		return nil, errors.New("a start without a deadline")
	}
	return &verigatev1.StartVerificationResponse{
		Verification: &verigatev1.Verification{Id: idOfAll}, HostedUrl: hosted, ClientToken: appToken,
	}, nil
}

// page is a handler with its fake gateway and its log.
type page struct {
	http.Handler
	gateway *gateway
	log     *strings.Builder
}

func newPage() *page {
	p := &page{gateway: &gateway{}, log: &strings.Builder{}}
	p.Handler = web.Handler(web.Options{
		Client: p.gateway,
		Flows: []web.Flow{
			{Name: "identity", Title: "Identity check", Description: "With a <document>."},
			{Name: "age-gate", Title: "Age gate", Description: "With a camera."},
		},
		Log: slog.New(slog.NewTextHandler(p.log, nil)),
	})
	return p
}

func (p *page) send(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

func get(target string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Host = host
	return r
}

func wantStatus(t *testing.T, w *httptest.ResponseRecorder, status int) {
	t.Helper()
	if w.Code != status {
		t.Fatalf("status = %d, want %d; body: %s", w.Code, status, w.Body)
	}
}

func wantText(t *testing.T, w *httptest.ResponseRecorder, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(w.Body.String(), part) {
			t.Errorf("body lacks %q: %s", part, w.Body)
		}
	}
}

func TestPage(t *testing.T) {
	t.Parallel()

	t.Run("offers the flows in order, escaped, the first one chosen", func(t *testing.T) {
		t.Parallel()
		w := newPage().send(get("/"))
		wantStatus(t, w, http.StatusOK)
		wantText(t, w, `value="identity" required checked>`, `value="age-gate" required >`, "With a &lt;document&gt;.")
		body := w.Body.String()
		if strings.Index(body, "Identity check") > strings.Index(body, "Age gate") {
			t.Error("the flows are out of order")
		}
	})

	t.Run("needs nothing that its content policy forbids", func(t *testing.T) {
		t.Parallel()
		forbidden := regexp.MustCompile(`<script[^>]*>[^<]|<style|\sstyle=|\son[a-z]+=|(?:src|href|action)="(?:https?:)?//`)
		for _, target := range []string{"/", "/demo/returned"} {
			if found := forbidden.FindString(newPage().send(get(target)).Body.String()); found != "" {
				t.Errorf("%s contains %q", target, found)
			}
		}
	})
}

func TestAssets(t *testing.T) {
	t.Parallel()
	types := map[string]string{
		".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
	}
	loads := regexp.MustCompile(`(?:src|href)="(/demo/[^"]+)"|from "\./([^"]+)"`)

	t.Run("all that the pages and scripts load is served with its type", func(t *testing.T) {
		t.Parallel()
		p := newPage()
		queue, seen := []string{"/", "/demo/returned"}, map[string]bool{}
		for len(queue) > 0 {
			target := queue[0]
			queue = queue[1:]
			if seen[target] {
				continue
			}
			seen[target] = true
			w := p.send(get(target))
			wantStatus(t, w, http.StatusOK)
			want, isAsset := types[path.Ext(target)]
			if !isAsset {
				want = "text/html; charset=utf-8"
			}
			if got := w.Header().Get("Content-Type"); got != want {
				t.Errorf("%s: Content-Type = %q, want %q", target, got, want)
			}
			for _, found := range loads.FindAllStringSubmatch(w.Body.String(), -1) {
				if found[1] != "" {
					queue = append(queue, found[1])
				} else {
					queue = append(queue, "/demo/"+found[2])
				}
			}
		}
		for _, asset := range []string{"/demo/app.js", "/demo/stream.js", "/demo/envelope.js", "/demo/style.css", "/demo/icon.svg"} {
			if !seen[asset] {
				t.Errorf("no page loads %s", asset)
			}
		}
	})

	t.Run("what is no asset is not found", func(t *testing.T) {
		t.Parallel()
		for _, target := range []string{"/nothing", "/demo/", "/demo/index.html", "/demo/web.go", "/demo/stream.test.mjs", "/demo/../web.go"} {
			if w := newPage().send(get(target)); w.Code == http.StatusOK {
				t.Errorf("%s is served", target)
			}
		}
	})
}

func TestHeaders(t *testing.T) {
	t.Parallel()

	t.Run("every answer, errors included, carries the protective headers", func(t *testing.T) {
		t.Parallel()
		foreign := get("/")
		foreign.Host = "gateway.example.com"
		for _, r := range []*http.Request{get("/"), get("/demo/returned"), get("/demo/app.js"), get("/nothing"), startOf(`{}`), foreign} {
			header := newPage().send(r).Header()
			want := map[string]string{
				"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
					"img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
				"X-Content-Type-Options": "nosniff",
				"Referrer-Policy":        "no-referrer",
				"Cache-Control":          "no-store",
			}
			for name, value := range want {
				if got := header.Get(name); got != value {
					t.Errorf("%s: %s = %q, want %q", r.URL, name, got, value)
				}
			}
		}
	})

	t.Run("pages are not changed by other methods", func(t *testing.T) {
		t.Parallel()
		for _, target := range []string{"/", "/demo/returned", "/demo/app.js"} {
			r := get(target)
			r.Method = http.MethodPut
			w := newPage().send(r)
			wantStatus(t, w, http.StatusMethodNotAllowed)
			if got := w.Header().Get("Allow"); got != "GET, HEAD" {
				t.Errorf("%s: Allow = %q", target, got)
			}
		}
	})
}

func TestHost(t *testing.T) {
	t.Parallel()

	t.Run("loopback addresses are answered", func(t *testing.T) {
		t.Parallel()
		for _, name := range []string{"localhost:8080", "LOCALHOST", "127.0.0.1:1", "127.8.9.1:8080", "[::1]:8080", "[::1]"} {
			r := get("/")
			r.Host = name
			if w := newPage().send(r); w.Code != http.StatusOK {
				t.Errorf("%s: status = %d", name, w.Code)
			}
		}
	})

	t.Run("other names are refused, for pages and starts alike", func(t *testing.T) {
		t.Parallel()
		for _, name := range []string{
			"", "example.com", "localhost.example.com", "127.0.0.1.example.com", "192.168.1.10:8080", "0.0.0.0:8080",
			"localhost:port", "user@localhost", "localhost/path", "localhost?x", "localhost#x", "[::1", "::1",
		} {
			for _, r := range []*http.Request{get("/"), startOf(`{"flow":"identity"}`)} {
				r.Host = name
				p := newPage()
				w := p.send(r)
				wantStatus(t, w, http.StatusMisdirectedRequest)
				wantText(t, w, "Open it as http://localhost or http://127.0.0.1")
				if len(p.gateway.asked) != 0 {
					t.Errorf("%q: the gateway was called", name)
				}
			}
		}
	})
}
