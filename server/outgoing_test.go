package server_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect/v2"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/sandbox"
)

func TestANodeInProductionCallsNoProviderAndNoIssuerOnLoopback(t *testing.T) {
	t.Parallel()
	users := newIssuer(t)
	l := newLabWith(t, sandbox.Faults{}, func(change func(*config.Config)) *gateway {
		return openOn(t, pgtest.New(t), func(c *config.Config) {
			change(c)
			c.EndUsers = []config.EndUsers{users.of(shopTest())}
			letEndUsersStart(c)
		})
	})
	var called atomic.Int64
	count := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called.Add(1) })
	l.detour.Store(&count)
	if err := send(t.Context(), l.api(l.key), &verigatev1.StartVerificationRequest{Flow: "hosted", Subject: "s"}); err == nil {
		t.Error("a page was opened")
	}
	wantCode(t, send(t.Context(), l.api(users.token("ann")), &verigatev1.StartVerificationRequest{Flow: "identity"}), connect.CodeUnavailable)
	if called.Load() != 0 || users.fetched() != 0 {
		t.Errorf("the provider was called %d times and the issuer %d times", called.Load(), users.fetched())
	}
}

func TestARedirectOfAProviderIsNotFollowed(t *testing.T) {
	t.Parallel()
	var called atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called.Add(1) }))
	t.Cleanup(elsewhere.Close)
	l := newLab(t, sandbox.Faults{})
	for _, status := range []int{http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		redirect := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, status) })
		l.detour.Store(&redirect)
		if err := send(t.Context(), l.api(l.key), &verigatev1.StartVerificationRequest{Flow: "hosted", Subject: "s"}); err == nil {
			t.Errorf("after a %d a page was opened", status)
		}
	}
	if n := called.Load(); n != 0 {
		t.Errorf("%d redirects were followed", n)
	}
}
