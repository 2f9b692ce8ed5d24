package edge

import (
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/secret"
)

// MaxTimeout is the longest accepted timeout of one call to a provider.
const MaxTimeout = 60 * time.Second

// Problems collects what is wrong with settings, in the order of the reports.
type Problems []provider.Problem

// Report adds a problem of the field. An empty message is no problem.
func (p *Problems) Report(field, message string) {
	if message != "" {
		*p = append(*p, provider.Problem{Field: field, Message: message})
	}
}

// TimeoutProblem says what is wrong with a timeout; "" if nothing is.
func TimeoutProblem(timeout time.Duration) string {
	if timeout <= 0 || timeout > MaxTimeout {
		return "must be longer than zero and at most 60s, for example 10s"
	}
	return ""
}

// KeyProblem refuses what cannot stand in a header; "" if nothing is wrong. A key
// with a line break is the usual trace of a file with more than one line. An
// empty key is not judged: what to do about it is each setting's own.
func KeyProblem(key secret.Value) string {
	for _, r := range key.Reveal() {
		if r <= ' ' || r > '~' {
			return "holds a space, a line break or a character outside ASCII; give the bare key"
		}
	}
	return ""
}

// BaseURLProblem says what is wrong with a base URL; "" if it is an absolute
// https URL without user info, query and fragment. Plain http is for a loopback
// address of a development gateway. remedy ends the sentence that such a URL is
// wanted, with an example. The URL itself is never repeated: a refused one may
// hold a password.
func BaseURLProblem(base, remedy string, development bool) string {
	u, err := url.Parse(base)
	if err != nil || !u.IsAbs() || u.Hostname() == "" {
		return "must be an absolute URL, " + remedy
	}
	if u.User != nil || strings.ContainsAny(base, "?#") {
		return "must have no user info, query or fragment; keys have settings of their own"
	}
	switch {
	case u.Scheme == "https":
		return ""
	case u.Scheme == "http" && development && IsLoopback(u.Hostname()):
		return ""
	case development:
		return "must start with https:// (http:// is for a loopback address only)"
	}
	return "must start with https://"
}

// IsLoopback reports whether a URL's host, without its port, is this machine.
func IsLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
