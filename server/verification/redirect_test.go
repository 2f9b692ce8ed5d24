package verification_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/verigate/verigate/server/verification"
)

func allowList() []string {
	return []string{
		"https://app.example.com", "https://shop.example.com/done", "https://eu.example.com:8443",
		"https://[2001:db8::1]", "myapp://", "other://host", "deep://host/path",
		"http://localhost", "http://127.0.0.1:3000", "http://[::1]",
	}
}

func TestRedirectsThatAreAllowed(t *testing.T) {
	t.Parallel()
	for _, target := range []string{
		"https://app.example.com", "https://app.example.com/", "https://app.example.com/a/b?c=d#e",
		"https://APP.example.com/a", "HTTPS://app.example.com", "https://app.example.com:443/a", "https://app.example.com:/a",
		"https://app.example.com/a/../b", "https://app.example.com/%2f", "https://app.example.com/?next=https://evil.test",
		"https://shop.example.com/done", "https://shop.example.com/done/", "https://shop.example.com/done/more?x=..",
		"https://eu.example.com:8443/x", "https://[2001:db8::1]/x", "https://[2001:DB8::1]:443/x",
		"myapp://", "myapp://verify-complete", "myapp://any/path?x=1", "MYAPP://x", "myapp:///path",
		"other://host", "other://host/any", "deep://host/path", "deep://host/path/more",
		"http://localhost:5173/x", "http://localhost", "http://127.0.0.1:3000/x", "http://[::1]:9/x",
	} {
		if err := verification.CheckRedirect("redirect_url", target, allowList()); err != nil {
			t.Errorf("%q is refused: %v", target, err)
		}
	}
}

func TestRedirectsThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, targets := range map[string][]string{
		"user names":       {"https://app.example.com@evil.test", "https://app.example.com:443@evil.test/", "https://x@app.example.com", "https://@app.example.com", "myapp://a:b@host"},
		"suffix domains":   {"https://app.example.com.evil.test", "https://evilapp.example.com", "https://example.com", "https://app.example.com.", "https://a.app.example.com"},
		"ports":            {"https://app.example.com:8443", "https://app.example.com:80", "https://eu.example.com", "https://eu.example.com:443", "http://127.0.0.1:3001", "http://127.0.0.1", "https://app.example.com:x"},
		"path look-alikes": {"https://shop.example.com", "https://shop.example.com/done-evil", "https://shop.example.com/Done", "https://shop.example.com/doneevil/x"},
		"dot segments": {
			"https://shop.example.com/done/../evil", "https://shop.example.com/done/..", "https://shop.example.com/done/./x",
			"https://shop.example.com/done/%2e%2e/evil", "https://shop.example.com/done/%2E./evil", "deep://host/path/../x",
		},
		"encoded separators":  {"https://shop.example.com/done%2fevil", "https://shop.example.com/done/..%2Fevil", "https://shop.example.com/done/..%5cevil", "https://app.example.com%2fevil.test"},
		"backslashes":         {`https://app.example.com\@evil.test`, `https:\\app.example.com`, `https://evil.test\.app.example.com`, `myapp:\\x`},
		"control characters":  {"https://app.example.com\n", "https://app.example.com/\x00", "\thttps://app.example.com", "https://app.exam\rple.com", "java\nscript:alert(1)", "https://app.example.com/\u0085"},
		"spaces":              {" https://app.example.com", "https://app.example.com /", "https://app.example.com/a b", "https://app.example.com/\u00a0", "https://app.example.com/\u2028"},
		"unicode hosts":       {"https://app.example.com。evil.test", "https://аpp.example.com", "https://app.example.com⁄evil.test", "https://ſhop.example.com/done", "https://app.example.com\u200b", "https://app%E3%80%82example.com"},
		"no text":             {"https://app.example.com/\xff", "\xff\xfe"},
		"schemes that run":    {"javascript:alert(1)", "javascript://app.example.com/%0aalert(1)", "JavaScript://x", "data:text/html,x", "data://app.example.com", "vbscript:x", "file:///etc/passwd", "blob:https://app.example.com/x", "intent://x#Intent;end", "view-source:https://app.example.com"},
		"no scheme":           {"", "//evil.test", "/path", "app.example.com", "app.example.com:443", "?x", "://x", "://app.example.com"},
		"not hierarchical":    {"https:app.example.com", "https:/app.example.com", "https:///app.example.com", "myapp:x", "myapp:/x", "mailto:a@example.com", "https://"},
		"http outside":        {"http://app.example.com", "http://localhost.evil.test", "http://127.0.0.1.evil.test", "http://0.0.0.0", "http://10.0.0.1", "http://2130706433", "http://0x7f.1", "http://[::]", "http://[::1%25lo]"},
		"other loopback":      {"http://127.0.0.2", "https://localhost", "http://[::ffff:127.0.0.1]"},
		"schemes off list":    {"yourapp://x", "myapp2://x", "ftp://app.example.com", "ws://app.example.com", "wss://app.example.com"},
		"custom scheme hosts": {"other://", "other://evil", "other://HOST", "other://host:1", "other:///host", "deep://host", "deep://host/path-evil", "deep://evil/path"},
		"wildcards":           {"https://*.example.com", "https://*"},
		"broken":              {"https://[::1", "https://app.example.com:99:1", "https://%zz", "https://app.example.com%00.evil.test"},
	} {
		for _, target := range targets {
			err := verification.CheckRedirect("failure_redirect_url", target, allowList())
			if err == nil {
				t.Errorf("%s: %q is allowed", name, target)
				continue
			}
			if verification.KindOf(err) != verification.KindInvalid || !strings.HasPrefix(err.Error(), "failure_redirect_url: ") {
				t.Errorf("%s: %q gives %v (%s)", name, target, err, verification.KindOf(err))
			}
		}
	}
	for _, target := range []string{"https://app.example.com", "myapp://x", "http://localhost"} {
		if verification.CheckRedirect("redirect_url", target, nil) == nil {
			t.Errorf("%q is allowed by an empty list", target)
		}
	}
}

func TestAllowListEntries(t *testing.T) {
	t.Parallel()
	for _, entry := range allowList() {
		if err := verification.CheckAllowedRedirect(entry); err != nil {
			t.Errorf("%q is refused: %v", entry, err)
		}
	}
	for _, entry := range []string{
		"", "*", "https://*", "https://*.example.com", "https://", "app.example.com", "http://app.example.com",
		"https://app.example.com?x=1", "https://app.example.com#x", "https://a@app.example.com", "javascript://", "data://",
		"file:///", "myapp", "myapp:", "https://аpp.example.com", "https://app.example.com /", `https://app\.example.com`,
	} {
		err := verification.CheckAllowedRedirect(entry)
		if err == nil || !strings.HasPrefix(err.Error(), "allowed_redirects: ") {
			t.Errorf("%q gives %v, want an error that names allowed_redirects", entry, err)
		}
	}
}

func TestCallbackURLs(t *testing.T) {
	t.Parallel()
	for _, ok := range []string{
		"https://api.example.com/hook?x=1", "https://api.example.com:8443", "http://localhost:3000/x", "http://127.0.0.1", "http://[::1]:1",
	} {
		if err := verification.CheckCallbackURL("callback_url", ok); err != nil {
			t.Errorf("%q is refused: %v", ok, err)
		}
	}
	for _, bad := range []string{
		"", "myapp://x", "http://api.example.com", "http://localhost.evil.test", "ftp://api.example.com", "https://", "https:///x",
		"https://a:b@api.example.com", "javascript:alert(1)", "data:,x", "//api.example.com", `https://api.example.com\x`,
		"https://api.example.com/\n", "https://аpi.example.com", "gopher://x", "unix:///run/x", "https:api.example.com",
	} {
		err := verification.CheckCallbackURL("callback_url", bad)
		if err == nil || !strings.HasPrefix(err.Error(), "callback_url: ") {
			t.Errorf("%q gives %v, want an error that names callback_url", bad, err)
		}
	}
}

func FuzzCheckRedirect(f *testing.F) {
	for _, seed := range append(allowList(),
		"https://app.example.com@evil.test", "https://app.example.com.evil.test", `https://app.example.com\@evil.test`,
		"https://shop.example.com/done/%2e%2e/evil", "javascript://x", "https://ſhop.example.com/done", "HTTPS://APP.EXAMPLE.COM:443") {
		f.Add(seed)
	}
	hosts := []string{"app.example.com", "shop.example.com", "eu.example.com", "2001:db8::1"}
	schemes := []string{"https", "http", "myapp", "other", "deep"}
	f.Fuzz(func(t *testing.T, target string) {
		if verification.CheckRedirect("redirect_url", target, allowList()) != nil {
			return
		}
		u, err := url.Parse(target)
		if err != nil || !slices.Contains(schemes, u.Scheme) || u.User != nil {
			t.Fatalf("%q is allowed: scheme %q, user %v (%v)", target, u.Scheme, u.User, err)
		}
		if u.Scheme == "https" && !slices.Contains(hosts, strings.ToLower(u.Hostname())) {
			t.Fatalf("%q is allowed and leads to %q", target, u.Hostname())
		}
		if u.Scheme == "https" && strings.EqualFold(u.Hostname(), "shop.example.com") {
			if path := u.JoinPath().Path; path != "/done" && !strings.HasPrefix(path, "/done/") {
				t.Fatalf("%q is allowed and leads to %q", target, path)
			}
		}
	})
}
