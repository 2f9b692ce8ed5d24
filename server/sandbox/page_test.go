package sandbox_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

const banner = "Test mode — sample run only."

func TestHostedPage(t *testing.T) {
	t.Parallel()

	t.Run("shows the banner, the title and a button for each outcome", func(t *testing.T) {
		t.Parallel()
		l := open(t, nil)
		token := l.token(`{"product":"verifyidentity","page_title":"<b>Who & you","success_message":"Well done"}`)
		a := l.call(http.MethodGet, "/hosted/v/"+token, "")
		if a.status != http.StatusOK || a.header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Fatalf("got %d %v", a.status, a.header)
		}
		for _, want := range []string{
			`<p class="banner">` + banner + `</p>`, "<h1>&lt;b&gt;Who &amp; you</h1>", `lang="en"`,
			`name="viewport"`, `name="outcome" value="pass"`, `value="fail"`, `value="deny"`, `value="abandon"`,
			`action="../complete/` + token + `"`, `data-success="Well done"`, "verifyidentity",
			`<time datetime="2026-05-18T10:30:00Z">18 May 2026, 10:30 UTC</time>`,
		} {
			if !strings.Contains(a.body, want) {
				t.Errorf("page lacks %q", want)
			}
		}
	})

	t.Run("may be framed by nobody and runs nothing inline", func(t *testing.T) {
		t.Parallel()
		l := open(t, nil)
		a := l.call(http.MethodGet, "/hosted/v/"+l.token(identity), "")
		policy := a.header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("policy lacks %q: %s", want, policy)
			}
		}
		for _, no := range []string{"unsafe", "form-action"} {
			if strings.Contains(policy, no) {
				t.Errorf("policy has %q: %s", no, policy)
			}
		}
		if a.header.Get("X-Content-Type-Options") != "nosniff" || a.header.Get("Referrer-Policy") != "no-referrer" ||
			a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("headers = %v", a.header)
		}
		if inline := regexp.MustCompile(`<style|style="|<script>|\son\w+=`).FindString(a.body); inline != "" {
			t.Errorf("inline code: %q", inline)
		}
		if foreign := regexp.MustCompile(`(?:src|href)="(?:https?:)?//`).FindString(a.body); foreign != "" {
			t.Errorf("foreign asset: %q", foreign)
		}
	})

	t.Run("finds what it loads, from either depth", func(t *testing.T) {
		t.Parallel()
		l := open(t, nil)
		for _, page := range []string{"/hosted/v/" + l.token(identity), "/flow/plain", "/hosted/v/unknown", "/flow/unknown"} {
			a := l.call(http.MethodGet, page, "")
			loads := regexp.MustCompile(`(?:src|href)="([^"#]+)"`).FindAllStringSubmatch(a.body, -1)
			if len(loads) < 2 {
				t.Errorf("%s loads %v", page, loads)
			}
			for _, load := range loads {
				at := resolve(t, l.url+page, load[1])
				asset := l.call(http.MethodGet, pathOf(t, at), "")
				if asset.status != http.StatusOK || strings.HasPrefix(asset.header.Get("Content-Type"), "text/plain") {
					t.Errorf("%s: %s: %d %s", page, at, asset.status, asset.header.Get("Content-Type"))
				}
			}
		}
	})

	t.Run("is a notice for a link that is unknown, used or expired", func(t *testing.T) {
		t.Parallel()
		l := open(t, nil)
		used, fresh := l.token(identity), l.token(`{"product":"verifyage","expires_in_hours":1}`)
		l.complete(used, "pass", "")
		l.clock.add(time.Hour)
		for _, c := range []struct {
			token  string
			status int
			title  string
		}{
			{"nonsense", http.StatusNotFound, "Page not found"},
			{used, http.StatusGone, "Link already used"},
			{fresh, http.StatusGone, "Link expired"},
		} {
			a := l.call(http.MethodGet, "/hosted/v/"+c.token, "")
			if a.status != c.status || !strings.Contains(a.body, "<h1>"+c.title+"</h1>") || !strings.Contains(a.body, banner) {
				t.Errorf("%s: got %d %s", c.title, a.status, a.body)
			}
			if strings.Contains(a.body, "<button") {
				t.Errorf("%s: has buttons", c.title)
			}
		}
	})

	t.Run("works until the last second of its life", func(t *testing.T) {
		t.Parallel()
		l := open(t, nil)
		token := l.token(`{"product":"verifyage","expires_in_hours":1}`)
		l.clock.add(time.Hour - time.Second)
		if a := l.call(http.MethodGet, "/hosted/v/"+token, ""); a.status != http.StatusOK {
			t.Errorf("got %d", a.status)
		}
	})
}

func TestAbsentRoutes(t *testing.T) {
	t.Parallel()
	l := open(t, nil)
	token := l.token(identity)
	for _, path := range []string{
		"/hosted/status/" + token, "/hosted/v/" + token + "/status", "/assets/run.html", "/assets/", "/",
	} {
		if a := l.call(http.MethodGet, path, "", bearer); a.status != http.StatusNotFound {
			t.Errorf("%s: got %d", path, a.status)
		}
	}
	if a := l.call(http.MethodGet, "/hosted/generate", "", bearer); a.status != http.StatusMethodNotAllowed {
		t.Errorf("GET generate: got %d", a.status)
	}
}
