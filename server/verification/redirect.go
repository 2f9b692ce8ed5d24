package verification

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A person may only be sent where the flow's allow-list says. An entry is one
// of three things:
//
//	https://app.example.com         an origin: any path on it
//	https://app.example.com/done    an origin with a path prefix, whole segments
//	myapp://  or  myapp://host      a custom scheme, with or without a host
//	http://localhost, http://127.0.0.1   loopback, any port: development
//
// Comparing is done on parsed parts, never on text, so that look-alikes
// (https://app.example.com.evil.test, https://app.example.com@evil.test) do
// not pass.

// notForRedirects are schemes that run code, read files or hide their target.
var notForRedirects = map[string]bool{
	"javascript": true, "data": true, "vbscript": true, "file": true, "blob": true,
	"about": true, "filesystem": true, "view-source": true, "intent": true, "content": true,
	"ws": true, "wss": true, "ftp": true, "mailto": true, "tel": true, "sms": true,
}

// CheckAllowedRedirect reports what is wrong with an entry of a flow's
// allow-list, nil if nothing is.
func CheckAllowedRedirect(entry string) error {
	u, err := parseTarget("allowed_redirects", entry)
	if err != nil {
		return err
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return Invalid("allowed_redirects", "must be an origin, a path prefix or a scheme, without query or fragment")
	}
	return nil
}

// CheckRedirect reports why a redirect target is refused, nil if it is allowed.
// field is the request field or configuration key to name.
func CheckRedirect(field, raw string, allowed []string) error {
	target, err := parseTarget(field, raw)
	if err != nil {
		return err
	}
	for _, entry := range allowed {
		pattern, err := parseTarget(field, entry)
		if err == nil && covers(pattern, target) {
			return nil
		}
	}
	return Invalid(field, fmt.Sprintf("%s://%s is not on the flow's allow-list; add it to allowed_redirects in the configuration",
		target.Scheme, target.Host))
}

// CheckCallbackURL reports why a callback URL is refused, nil if it is allowed.
// Where it may point is checked again at dial time.
func CheckCallbackURL(field, raw string) error {
	if scheme, _, found := strings.Cut(strings.ToLower(raw), "://"); found && scheme != "http" && scheme != "https" {
		return Invalid(field, "must be an https URL")
	}
	_, err := parseTarget(field, raw)
	return err
}

func parseTarget(field, raw string) (*url.URL, error) {
	if !utf8.ValidString(raw) {
		return nil, Invalid(field, "must be UTF-8 text")
	}
	if strings.ContainsFunc(raw, func(r rune) bool { return r == '\\' || unicode.IsControl(r) || unicode.IsSpace(r) }) {
		return nil, Invalid(field, "must not contain spaces, control characters or backslashes")
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme == "" || u.Opaque != "" {
		return nil, Invalid(field, "must be an absolute URL such as https://app.example.com/done or myapp://done")
	}
	if u.User != nil {
		return nil, Invalid(field, "must not contain a user name or password")
	}
	if strings.ContainsFunc(u.Host, func(r rune) bool { return r > unicode.MaxASCII || r == '*' }) {
		return nil, Invalid(field, "must name its host in ASCII (punycode, xn--…) and without wildcards; list each host")
	}
	switch {
	case notForRedirects[u.Scheme]:
		return nil, Invalid(field, "the scheme "+u.Scheme+" is not allowed; use https or your app's own scheme")
	case u.Scheme == "https" && u.Hostname() == "":
		return nil, Invalid(field, "must name a host")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, Invalid(field, "must use https; http is only for loopback addresses")
	case !strings.HasPrefix(raw[len(u.Scheme):], "://"):
		return nil, Invalid(field, "must be written as "+u.Scheme+"://...")
	}
	return u, nil
}

func covers(pattern, target *url.URL) bool {
	if pattern.Scheme != target.Scheme {
		return false
	}
	switch pattern.Scheme {
	case "https":
		return strings.EqualFold(pattern.Hostname(), target.Hostname()) &&
			portOf(pattern, "443") == portOf(target, "443") && underPath(pattern.Path, target)
	case "http":
		return isLoopback(target.Hostname()) && strings.EqualFold(pattern.Hostname(), target.Hostname()) &&
			(pattern.Port() == "" || pattern.Port() == target.Port()) && underPath(pattern.Path, target)
	}
	return pattern.Host == "" || (pattern.Host == target.Host && underPath(pattern.Path, target))
}

func portOf(u *url.URL, fallback string) string {
	if p := u.Port(); p != "" {
		return p
	}
	return fallback
}

// underPath compares whole segments, so that /done does not allow /done-evil.
// It refuses dot segments, which browsers resolve after our check, and encoded
// separators, which some servers take for real ones.
func underPath(prefix string, target *url.URL) bool {
	prefix = strings.TrimSuffix(prefix, "/")
	if prefix == "" {
		return true
	}
	escaped := strings.ToLower(target.EscapedPath())
	if strings.Contains(escaped, "%2f") || strings.Contains(escaped, "%5c") {
		return false
	}
	for segment := range strings.SplitSeq(target.Path, "/") {
		if segment == "." || segment == ".." {
			return false
		}
	}
	return target.Path == prefix || strings.HasPrefix(target.Path, prefix+"/")
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
