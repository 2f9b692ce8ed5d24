package sandbox_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestCompleteFollowsTheRedirectTable(t *testing.T) {
	t.Parallel()
	const (
		both     = `{"product":"verifyage","redirect_url":"myapp://pass","failure_redirect_url":"https://a.example/fail"}`
		passOnly = `{"product":"verifyage","redirect_url":"myapp://pass"}`
		failOnly = `{"product":"verifyage","failure_redirect_url":"myapp://fail"}`
		neither  = `{"product":"verifyage"}`
	)
	for _, c := range []struct{ name, request, outcome, status, target string }{
		{"pass goes to redirect_url", both, "pass", "PASS", "myapp://pass"},
		{"fail goes to failure_redirect_url", both, "fail", "FAIL", "https://a.example/fail"},
		{"deny goes to failure_redirect_url", both, "deny", "DENIED", "https://a.example/fail"},
		{"abandon goes nowhere", both, "abandon", "ABANDONED", ""},
		{"fail stays without a failure_redirect_url", passOnly, "fail", "FAIL", ""},
		{"deny stays without a failure_redirect_url", passOnly, "deny", "DENIED", ""},
		{"pass stays without a redirect_url", failOnly, "pass", "PASS", ""},
		{"pass stays when nothing is configured", neither, "pass", "PASS", ""},
		{"deny stays when nothing is configured", neither, "deny", "DENIED", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := open(t, nil)
			a := l.complete(l.token(c.request), c.outcome, "")
			var fields map[string]string
			a.decode(t, &fields)
			if a.status != http.StatusOK || fields["status"] != c.status || fields["redirect_url"] != c.target {
				t.Errorf("script: got %d %s", a.status, a.body)
			}
			if _, has := fields["redirect_url"]; has != (c.target != "") {
				t.Errorf("script: got %s", a.body)
			}
			form := l.call(http.MethodPost, "/hosted/complete/"+l.token(c.request), "outcome="+c.outcome, asForm)
			if c.target != "" && (form.status != http.StatusSeeOther || form.header.Get("Location") != c.target) {
				t.Errorf("form: got %d %q", form.status, form.header.Get("Location"))
			}
			if c.target == "" && (form.status != http.StatusOK || !strings.Contains(form.body, banner)) {
				t.Errorf("form: got %d %s", form.status, form.body)
			}
		})
	}
}

func TestCompleteWithoutScriptShowsTheMessages(t *testing.T) {
	t.Parallel()
	l := open(t, nil)
	for outcome, want := range map[string]string{
		"pass": "Hooray", "fail": "Too bad", "deny": "Too bad", "abandon": "You can open this page again.",
	} {
		token := l.token(`{"product":"verifyage","success_message":"Hooray","failure_message":"Too bad"}`)
		a := l.call(http.MethodPost, "/hosted/complete/"+token, "outcome="+outcome, asForm)
		if a.status != http.StatusOK || !strings.Contains(a.body, want) {
			t.Errorf("%s: got %d %s", outcome, a.status, a.body)
		}
	}
}

func TestCompleteIsSingleUse(t *testing.T) {
	t.Parallel()

	t.Run("so a second completion conflicts", func(t *testing.T) {
		t.Parallel()
		l := open(t, nil)
		token := l.token(identity)
		l.complete(token, "fail", "")
		take(t, l.attempts)
		for _, outcome := range []string{"pass", "fail", "abandon"} {
			if a := l.complete(token, outcome, ""); a.status != http.StatusConflict {
				t.Errorf("%s: got %d %s", outcome, a.status, a.body)
			}
		}
		a := l.call(http.MethodPost, "/hosted/complete/"+token, "outcome=pass", asForm)
		if a.status != http.StatusConflict || !strings.Contains(a.body, "<h1>") {
			t.Errorf("form: got %d %s", a.status, a.body)
		}
		none(t, l.attempts)
	})

	t.Run("however many try at once", func(t *testing.T) {
		t.Parallel()
		l := open(t, nil)
		token := l.token(identity)
		statuses := make(chan int, 16)
		var tries sync.WaitGroup
		for range cap(statuses) {
			tries.Go(func() { statuses <- l.complete(token, "pass", "").status })
		}
		tries.Wait()
		close(statuses)
		won := 0
		for status := range statuses {
			if status == http.StatusOK {
				won++
			}
		}
		if won != 1 {
			t.Errorf("%d completions went through", won)
		}
	})

	t.Run("but abandoning and mistakes use nothing up", func(t *testing.T) {
		t.Parallel()
		l := open(t, nil)
		token := l.token(identity)
		l.complete(token, "abandon", "")
		l.complete(token, "maybe", "")
		l.complete(token, "pass", `{"shape":"round"}`)
		if a := l.call(http.MethodGet, "/hosted/v/"+token, ""); a.status != http.StatusOK {
			t.Errorf("page: got %d", a.status)
		}
		if a := l.complete(token, "pass", ""); a.status != http.StatusOK {
			t.Errorf("complete: got %d %s", a.status, a.body)
		}
		if d := take(t, l.attempts); d.Event != "verification.completed" {
			t.Errorf("delivery = %+v", d)
		}
		none(t, l.attempts)
	})
}

func TestCompleteRefuses(t *testing.T) {
	t.Parallel()
	l := open(t, nil)
	expired := l.token(`{"product":"verifyage","expires_in_hours":1}`)
	l.clock.add(time.Hour)
	fresh := l.token(identity)
	for _, c := range []struct {
		name, token, body, want string
		status                  int
	}{
		{"an unknown token", "nonsense", `{"outcome":"pass"}`, "Unknown token", http.StatusNotFound},
		{"an expired token", expired, `{"outcome":"pass"}`, "expired", http.StatusGone},
		{"an unknown outcome", fresh, `{"outcome":"maybe"}`, "outcome: must be pass, fail, deny or abandon", 400},
		{"the outcome of mobile sessions", fresh, `{"outcome":"none"}`, "outcome: must be", 400},
		{"no outcome", fresh, `{}`, "outcome: must be", 400},
		{"an outcome that is no string", fresh, `{"outcome":true}`, "outcome: must be a string", 400},
		{"an unknown field", fresh, `{"outcome":"pass","x":1}`, "x: unknown field", 400},
		{"faults that are no object", fresh, `{"outcome":"pass","faults":3}`, "faults: must be one JSON object", 400},
		{"an unknown fault", fresh, `{"outcome":"pass","faults":{"x":1}}`, "faults.x: unknown field", 400},
		{
			"a fault of the whole sandbox", fresh, `{"outcome":"pass","faults":{"generate_hang":true}}`,
			"faults.generate_hang: belongs to the whole sandbox", 400,
		},
		{"a broken body", fresh, `{`, "body: must be one JSON object", 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := &lab{t: t, url: l.url, client: newClient(t)}
			a := l.call(http.MethodPost, "/hosted/complete/"+c.token, c.body, asJSON)
			if a.status != c.status || !strings.Contains(a.body, c.want) || !strings.Contains(a.body, `"status":"ERROR"`) {
				t.Errorf("got %d %s", a.status, a.body)
			}
		})
	}
	t.Run("a body of another type", func(t *testing.T) {
		t.Parallel()
		l := &lab{t: t, url: l.url, client: newClient(t)}
		a := l.call(http.MethodPost, "/hosted/complete/"+fresh, `{"outcome":"pass"}`, "Content-Type: text/plain")
		if a.status != http.StatusBadRequest {
			t.Errorf("got %d %s", a.status, a.body)
		}
	})
}

func TestStableFlowPages(t *testing.T) {
	t.Parallel()

	t.Run("serve everybody, each run a verification of its own", func(t *testing.T) {
		t.Parallel()
		l := open(t, nil)
		seen := map[string]bool{}
		for range 3 {
			if a := l.call(http.MethodGet, "/flow/age-gate", ""); a.status != http.StatusOK ||
				!strings.Contains(a.body, `action="age-gate/complete"`) || strings.Contains(a.body, "Valid until") {
				t.Fatalf("page: got %d %s", a.status, a.body)
			}
			a := l.call(http.MethodPost, "/flow/age-gate/complete", `{"outcome":"pass"}`, asJSON)
			if a.body != `{"status":"PASS","redirect_url":"myapp://adult"}` {
				t.Errorf("got %d %s", a.status, a.body)
			}
			h := take(t, l.receiver.hooks)
			if h.field(t, "product") != "verifyage" || h.field(t, "token") != "" {
				t.Errorf("webhook = %s", h.body)
			}
			seen[h.field(t, "verification_id")] = true
		}
		if len(seen) != 3 {
			t.Errorf("verification ids = %v", seen)
		}
	})

	t.Run("have redirects, titles and faults of their own", func(t *testing.T) {
		t.Parallel()
		l := open(t, nil)
		a := l.call(http.MethodPost, "/flow/age-gate/complete", "outcome=deny", asForm)
		if a.status != http.StatusSeeOther || a.header.Get("Location") != "myapp://minor" {
			t.Errorf("got %d %v", a.status, a.header)
		}
		take(t, l.receiver.hooks)
		if a := l.call(http.MethodGet, "/flow/plain", ""); !strings.Contains(a.body, "<h1>Are you human?</h1>") {
			t.Errorf("page = %s", a.body)
		}
		a = l.call(http.MethodPost, "/flow/plain/complete", `{"outcome":"fail","faults":{"unknown_status":true}}`, asJSON)
		if a.body != `{"status":"FAIL"}` {
			t.Errorf("got %d %s", a.status, a.body)
		}
		if h := take(t, l.receiver.hooks); h.field(t, "status") != "SANDBOX_UNKNOWN" {
			t.Errorf("webhook = %s", h.body)
		}
	})

	t.Run("are not found under another name", func(t *testing.T) {
		t.Parallel()
		l := open(t, nil)
		if a := l.call(http.MethodGet, "/flow/x", ""); a.status != http.StatusNotFound {
			t.Errorf("page: got %d", a.status)
		}
		if a := l.call(http.MethodPost, "/flow/x/complete", `{"outcome":"pass"}`, asJSON); a.status != http.StatusNotFound {
			t.Errorf("complete: got %d", a.status)
		}
	})
}
