package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"google.golang.org/protobuf/types/known/timestamppb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/web"
)

const (
	host     = "127.0.0.1:8080"
	idOfAll  = "0193a1f0-7c1e-7d2b-9a57-000000000001"
	hosted   = "http://127.0.0.1:8080/sandbox/hosted/v/token"
	appToken = "client-token"
	// gatewayURL is where the gateway reaches the page, under another name than
	// the page was opened.
	gatewayURL = "http://127.0.0.2:8080"
)

// startedAt is when the gateway created the verification, receivedAt when a
// callback arrived.
var (
	startedAt  = time.Date(2026, 5, 17, 10, 30, 0, 500_000_000, time.UTC)
	receivedAt = time.Date(2026, 5, 17, 10, 30, 1, 0, time.UTC)
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
		Verification: &verigatev1.Verification{Id: idOfAll, CreateTime: timestamppb.New(startedAt)},
		HostedUrl:    hosted, ClientToken: appToken,
	}, nil
}

// page is a handler with its fake gateway, its log and its end.
type page struct {
	http.Handler
	gateway *gateway
	log     *strings.Builder
	// stop begins the server's end.
	stop func()
}

func newPage() *page {
	done := make(chan struct{})
	p := &page{gateway: &gateway{}, log: &strings.Builder{}, stop: sync.OnceFunc(func() { close(done) })}
	verifier, err := standardwebhooks.NewWebhook(callbackSecret)
	if err != nil {
		panic(err)
	}
	p.Handler = web.Handler(web.Options{
		Client: p.gateway,
		Flows: []web.Flow{
			{Name: "identity", Title: "Identity check", Description: "With a <document>."},
			{Name: "age-gate", Title: "Age gate", Description: "With a camera."},
		},
		URL: gatewayURL, Callbacks: verifier, Done: done, Now: func() time.Time { return receivedAt },
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

	t.Run("is the same where people start and where they come back", func(t *testing.T) {
		t.Parallel()
		p := newPage()
		first, second := p.send(get("/")), p.send(get("/demo/returned?run=x"))
		wantStatus(t, first, http.StatusOK)
		wantStatus(t, second, http.StatusOK)
		wantText(t, first, `<div id="root">`, "This page needs JavaScript")
		if first.Body.String() != second.Body.String() {
			t.Error("the two addresses show different documents")
		}
	})

	t.Run("needs nothing that its content policy forbids", func(t *testing.T) {
		t.Parallel()
		forbidden := regexp.MustCompile(`<script[^>]*>[^<]|<style|\sstyle=|\son[a-z]+=|(?:src|href|action)="(?:data:|(?:https?:)?//)`)
		if found := forbidden.FindString(newPage().send(get("/")).Body.String()); found != "" {
			t.Errorf("the page contains %q", found)
		}
	})

	t.Run("learns the flows in their order", func(t *testing.T) {
		t.Parallel()
		w := newPage().send(get("/demo/flows"))
		wantStatus(t, w, http.StatusOK)
		var flows []web.Flow
		if err := json.Unmarshal(w.Body.Bytes(), &flows); err != nil {
			t.Fatal(err)
		}
		want := []web.Flow{
			{Name: "identity", Title: "Identity check", Description: "With a <document>."},
			{Name: "age-gate", Title: "Age gate", Description: "With a camera."},
		}
		if !slices.Equal(flows, want) || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("flows = %v (%s), want %v", flows, w.Header().Get("Content-Type"), want)
		}
	})
}

func TestAssets(t *testing.T) {
	t.Parallel()
	loads := regexp.MustCompile(`(?:src|href)="(/demo/[^"]+)"`)

	t.Run("all that the page loads is served with its type", func(t *testing.T) {
		t.Parallel()
		p := newPage()
		types := map[string]string{}
		for _, found := range loads.FindAllStringSubmatch(p.send(get("/")).Body.String(), -1) {
			w := p.send(get(found[1]))
			wantStatus(t, w, http.StatusOK)
			types[path.Ext(found[1])] = w.Header().Get("Content-Type")
		}
		want := map[string]string{
			".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
		}
		if !maps.Equal(types, want) {
			t.Errorf("the page loads %v, want %v", types, want)
		}
	})

	t.Run("the licences of what ships are told", func(t *testing.T) {
		t.Parallel()
		w := newPage().send(get("/demo/licenses.md"))
		wantStatus(t, w, http.StatusOK)
		wantText(t, w, "react-dom", "uqr", "@bufbuild/protobuf", "@connectrpc/connect-web",
			"Copyright (c) Meta Platforms", "Anthony Fu", "The Connect Authors", "Copyright 2008 Google", "TERMS AND CONDITIONS FOR USE")
	})

	t.Run("what is no asset is not found", func(t *testing.T) {
		t.Parallel()
		for _, target := range []string{"/nothing", "/demo/", "/demo/index.html", "/demo/assets/", "/demo/assets/nothing.js", "/demo/assets/..%2findex.html", "/demo/web.go"} {
			wantStatus(t, newPage().send(get(target)), http.StatusNotFound)
		}
	})
}

func TestHeaders(t *testing.T) {
	t.Parallel()

	t.Run("every answer, errors included, carries the protective headers", func(t *testing.T) {
		t.Parallel()
		foreign := get("/")
		foreign.Host = "gateway.example.com"
		for _, r := range []*http.Request{get("/"), get("/demo/returned"), get("/demo/assets/index.js"), get("/demo/flows"), get("/demo/callbacks"), get("/nothing"), startOf(`{}`), foreign} {
			header := newPage().send(r).Header()
			want := map[string]string{
				"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
					"img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
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
		for _, target := range []string{"/", "/demo/returned", "/demo/assets/index.js"} {
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
			for _, r := range []*http.Request{get("/"), get("/demo/flows"), get("/demo/callbacks?run=" + runOfAll), startOf(`{"flow":"identity"}`)} {
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
