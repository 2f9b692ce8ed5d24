package sandbox

import (
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// maxRedirect is the longest redirect URL, in bytes; our choice.
const maxRedirect = 2048

const (
	schemeHTTP  = "http"
	schemeHTTPS = "https"
)

// checkRedirect says what is wrong with a redirect target. The seed document
// allows https URLs, custom schemes and universal links, validated on the
// server; plain http on a loopback address is our addition, for development.
func checkRedirect(target string) error {
	if len(target) > maxRedirect {
		return errors.New("is longer than 2048 bytes")
	}
	if strings.ContainsAny(target, " \\") {
		return errors.New("must not contain spaces or backslashes")
	}
	u, err := url.Parse(target)
	if err != nil || u.Scheme == "" {
		return errors.New("must be an absolute URL such as https://example.com/done or myapp://done")
	}
	if u.User != nil {
		return errors.New("must not carry a user name or password")
	}
	if u.Scheme == schemeHTTPS || u.Scheme == schemeHTTP {
		return checkWebRedirect(u)
	}
	return checkAppRedirect(u)
}

// checkWebhook says what is wrong with an address that webhooks are sent to:
// https, or http on a loopback address for development.
func checkWebhook(target string) error {
	if err := checkRedirect(target); err != nil {
		return err
	}
	if u, err := url.Parse(target); err != nil || u.Scheme != schemeHTTPS && u.Scheme != schemeHTTP {
		return errors.New("must be an https URL (http is for loopback addresses only)")
	}
	return nil
}

func checkWebRedirect(u *url.URL) error {
	if u.Hostname() == "" {
		return errors.New("has no host")
	}
	if u.Scheme == schemeHTTP && !loopback(u.Hostname()) {
		return errors.New("is plain http; use https (http is for loopback addresses only)")
	}
	return nil
}

func checkAppRedirect(u *url.URL) error {
	if slices.Contains(forbiddenSchemes(), u.Scheme) {
		return errors.New("has a scheme that a browser runs or opens locally; use https or the app's own scheme")
	}
	if u.Host == "" && u.Opaque == "" && u.Path == "" {
		return errors.New("has nothing after its scheme")
	}
	return nil
}

func forbiddenSchemes() []string {
	return []string{"javascript", "data", "vbscript", "file", "blob", "about", "filesystem", "view-source"}
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
