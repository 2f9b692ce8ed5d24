package sandbox_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/sandbox"
)

const verifyPath = "/verify?verification_session_id="

func TestAiPrisePage(t *testing.T) {
	t.Parallel()

	t.Run("shows the banner, a form with the person's data and a button for each outcome", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, nil)
		id := l.session(`{"user_data":{"first_name":"<Ada>","last_name":"O\"Neill","date_of_birth":"1990-02-03"}}`)
		a := l.call(http.MethodGet, verifyPath+id, "")
		if a.status != http.StatusOK || a.header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Fatalf("got %d %v", a.status, a.header)
		}
		for _, want := range []string{
			`<p class="banner">` + banner + `</p>`, `lang="en"`, `name="viewport"`, `action="verify/complete"`,
			`name="verification_session_id" value="` + id + `"`, `name="first_name" value="&lt;Ada&gt;"`,
			`name="last_name" value="O&#34;Neill"`, `name="date_of_birth" type="date" value="1990-02-03"`,
			`name="outcome" value="pass"`, `value="fail"`, `value="review"`, `value="abandon"`, template, "SANDBOX",
			`<time datetime="2026-05-17T11:00:00Z">17 May 2026, 11:00 UTC</time>`,
		} {
			if !strings.Contains(a.body, want) {
				t.Errorf("page lacks %q", want)
			}
		}
		if strings.Contains(a.body, "<script") {
			t.Error("the page needs a script")
		}
		if first := strings.Index(a.body, "<button"); !strings.HasPrefix(a.body[first:], `<button class="submit">`) {
			t.Error("the enter key would choose an outcome")
		}
		if !strings.Contains(a.header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
			t.Errorf("policy = %q", a.header.Get("Content-Security-Policy"))
		}
	})

	t.Run("finds what it loads and where it posts, from either depth", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, nil)
		id := l.session("")
		page := l.call(http.MethodGet, verifyPath+id, "")
		action := regexp.MustCompile(`action="([^"]+)"`).FindStringSubmatch(page.body)
		if at := pathOf(t, resolve(t, l.url+verifyPath+id, action[1])); at != completePath {
			t.Errorf("posts to %s", at)
		}
		left := l.call(http.MethodPost, completePath, "outcome=abandon&verification_session_id="+id, asForm)
		unknown := l.call(http.MethodGet, verifyPath+"x", "")
		for at, a := range map[string]answer{verifyPath + id: page, completePath: left, verifyPath + "x": unknown} {
			loads := regexp.MustCompile(`(?:src|href)="([^"#]+)"`).FindAllStringSubmatch(a.body, -1)
			if len(loads) < 2 {
				t.Errorf("%s loads %v", at, loads)
			}
			for _, load := range loads {
				if asset := l.call(http.MethodGet, pathOf(t, resolve(t, l.url+at, load[1])), ""); asset.status != http.StatusOK {
					t.Errorf("%s: %s: %d", at, load[1], asset.status)
				}
			}
		}
	})

	t.Run("is a notice for a link that is unknown, used or expired", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, nil)
		used, fresh := l.pass(`{}`), l.session("")
		l.clock.add(30 * time.Minute)
		for _, c := range []struct {
			id     string
			status int
			title  string
		}{
			{"nonsense", http.StatusNotFound, "Page not found"},
			{"", http.StatusNotFound, "Page not found"},
			{used, http.StatusGone, "Link already used"},
			{fresh, http.StatusGone, "Link expired"},
		} {
			a := l.call(http.MethodGet, verifyPath+c.id, "")
			if a.status != c.status || !strings.Contains(a.body, "<h1>"+c.title+"</h1>") || !strings.Contains(a.body, banner) {
				t.Errorf("%s: got %d %s", c.title, a.status, a.body)
			}
		}
	})

	t.Run("works until the last second of its life", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, nil)
		id := l.session("")
		l.clock.add(30*time.Minute - time.Second)
		if a := l.call(http.MethodGet, verifyPath+id, ""); a.status != http.StatusOK {
			t.Errorf("got %d", a.status)
		}
	})

	t.Run("tells once that the person started, and not for a preview", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, nil)
		id := l.session("")
		if err := l.emulator.SetFaults(sandbox.AiPriseFaults{OldStatuses: true}); err != nil {
			t.Fatalf("SetFaults: %v", err)
		}
		l.call(http.MethodHead, verifyPath+id, "")
		l.wantPoll(id, "NOT_STARTED", "UNKNOWN")
		for range 3 {
			if a := l.call(http.MethodGet, verifyPath+id, ""); a.status != http.StatusOK {
				t.Fatalf("got %d", a.status)
			}
		}
		d := take(t, l.attempts)
		if d.Event != "VERIFICATION_SESSION_STARTED" || d.Channel != sandbox.ChannelEvents || d.VerificationID != id {
			t.Errorf("delivery = %+v", d)
		}
		l.close()
		none(t, l.attempts)
	})

	t.Run("cannot be opened anew when nothing can be sent any more", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, nil)
		id := l.session("")
		l.close()
		if a := l.call(http.MethodGet, verifyPath+id, ""); a.status != http.StatusServiceUnavailable {
			t.Errorf("page: got %d %s", a.status, a.body)
		}
		if a := l.submit(id, ""); a.status != http.StatusServiceUnavailable {
			t.Errorf("complete: got %d %s", a.status, a.body)
		}
		l.wantPoll(id, "NOT_STARTED", "UNKNOWN")
	})
}
