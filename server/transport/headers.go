package transport

import "net/http"

// defaultHeaders protect pages that say nothing themselves. Names and values
// follow the OWASP Secure Headers Project, at their strictest: what needs more
// says so itself.
//
// Cross-Origin-Resource-Policy does not keep the configured origins from
// calling: browsers apply it to requests in no-cors mode only, and to documents
// framed by others (Fetch standard, cross-origin resource policy check);
// WatchStatus and its sisters are called in cors mode. Camera, microphone and
// location are what providers' pages ask for, on the providers' origins, which
// this policy does not reach.
var defaultHeaders = map[string]string{
	"X-Content-Type-Options":       "nosniff",
	"Referrer-Policy":              "no-referrer",
	"X-Frame-Options":              "DENY",
	"Content-Security-Policy":      "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Permissions-Policy":           "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}

const (
	strictTransport = "Strict-Transport-Security"
	// oneYear leaves sibling names alone, since they are not ours to promise for.
	oneYear = "max-age=31536000"
)

// WithSecurityHeaders is middleware that sets the headers which keep browsers
// from guessing types, framing, loading, leaking and downgrading. It sets them
// before the handler runs: a handler that sets one itself has the last word,
// and one that removes it does without.
//
// Secure says that the public URL is https, whether this process or a proxy
// terminates it; browsers are then told to use nothing else for a year.
//
// A response that must leave a window connected to the page that opened it sets
// its own Cross-Origin-Opener-Policy. That includes redirects: browsers apply
// the policy to each response of a navigation (HTML standard, navigation), so
// the way back to an app that opened the hosted page in a pop-up is one of them.
func WithSecurityHeaders(next http.Handler, secure bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		for name, value := range defaultHeaders {
			header.Set(name, value)
		}
		if secure {
			header.Set(strictTransport, oneYear)
		}
		next.ServeHTTP(w, r)
	})
}
