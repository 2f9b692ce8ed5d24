package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

const (
	// sandboxMount is where a development gateway mounts its sandbox providers.
	sandboxMount = "/sandbox/"
	// maxSandboxAnswer is the largest answer that is read, in bytes.
	maxSandboxAnswer = 64 << 10
)

// completion is what became of a hosted page, as --json prints it.
type completion struct {
	VerificationID string `json:"verificationId"`
	Outcome        string `json:"outcome"`
	// Status is the sandbox's word for it.
	Status string `json:"status"`
	// Returned tells that the person came back through the gateway.
	Returned bool `json:"returned"`
	// AppURL is where the person's device would go next; empty to stay.
	AppURL string `json:"appUrl"`

	// session is the provider's, for pages that want it said.
	session string
}

// sandboxPage returns where the verification's page is completed, or why it
// cannot be.
func sandboxPage(base *url.URL, v *verigatev1.Verification) (*url.URL, error) {
	if v.GetHostedUrl() != "" {
		return completionURL(base, v.GetHostedUrl())
	}
	if v.GetResult() == verigatev1.VerificationResult_VERIFICATION_RESULT_PENDING {
		return nil, exitWith(exitRefused, "the server does not show this verification's hosted page\n"+
			"Use an API key, not a client token; if it was only just created, try again in a moment.")
	}
	return nil, exitWith(exitRefused, "the verification is over (%s), and its hosted page with it\n"+
		"Start another one with `verigate start`.", stateName(v.GetState()))
}

// completionURL returns where a sandbox page posts its outcome. A page that is
// no sandbox page of this server is refused: a real provider's page is for
// people.
func completionURL(base *url.URL, hosted string) (*url.URL, error) {
	page, err := url.Parse(hosted)
	if err != nil || !sameServer(base, page) || !strings.HasPrefix(page.Path, base.Path+sandboxMount) {
		return nil, exitWith(exitRefused, "the hosted page is not a sandbox page of %s\n"+
			"Only pages of a sandbox provider can be completed by command; open this one in a browser.", base)
	}
	target := &url.URL{Scheme: base.Scheme, Host: base.Host}
	before, token, isSession := strings.Cut(page.Path, "/hosted/v/")
	switch {
	case aipriseSession(page) != "":
		target.Path = page.Path + "/complete"
	case isSession && token != "":
		target.Path = before + "/hosted/complete/" + token
	case strings.Contains(page.Path, "/flow/"):
		target.Path = strings.TrimRight(page.Path, "/") + "/complete"
	default:
		return nil, exitWith(exitRefused, "the hosted page's address has a form that this command does not know\n"+
			"Open it in a browser, or use the command of the server's own version.")
	}
	return target, nil
}

// aipriseSession is the session of an AiPrise page; empty for any other page.
func aipriseSession(page *url.URL) string {
	if !strings.HasSuffix(page.Path, "/verify") {
		return ""
	}
	return page.Query().Get("verification_session_id")
}

// sameServer compares scheme, host and port; all names of the own machine are
// one.
func sameServer(a, b *url.URL) bool {
	if a.Scheme != b.Scheme || portOf(a) != portOf(b) {
		return false
	}
	return strings.EqualFold(a.Hostname(), b.Hostname()) || isLoopback(a.Hostname()) && isLoopback(b.Hostname())
}

func portOf(u *url.URL) string {
	if u.Port() == "" && u.Scheme == "https" {
		return "443"
	}
	if u.Port() == "" {
		return "80"
	}
	return u.Port()
}

func isLoopback(host string) bool {
	return strings.EqualFold(host, "localhost") || net.ParseIP(host).IsLoopback()
}

// play posts the outcome and goes where the page would send the browser.
func (p *completion) play(ctx context.Context, g *gateway, page *url.URL, faults []byte) error {
	run := map[string]any{"outcome": p.Outcome, "faults": json.RawMessage(faults)}
	if p.session != "" {
		run["verification_session_id"] = p.session
	}
	body, err := json.Marshal(run)
	if err != nil {
		return err
	}
	response, err := exchange(ctx, g.http, http.MethodPost, page, body)
	if err != nil {
		return err
	}
	var answer struct {
		Status      string `json:"status"`
		RedirectURL string `json:"redirect_url"`
		Error       string `json:"error"`
		Message     string `json:"message"`
	}
	if decodeErr := json.Unmarshal(response.body, &answer); response.status != http.StatusOK || decodeErr != nil {
		return exitWith(statusExit(response.status), "the sandbox page answered %d: %s", response.status, printable(answer.Error+answer.Message))
	}
	p.Status, p.AppURL = answer.Status, answer.RedirectURL
	// Anything but the gateway's own leg is the app's business.
	if leg, parseErr := url.Parse(answer.RedirectURL); parseErr == nil && leg.Host != "" && sameServer(g.base, leg) {
		return p.comeBack(ctx, g, leg)
	}
	return nil
}

// comeBack opens the gateway's return leg once, like the browser, and notes
// where it leads.
func (p *completion) comeBack(ctx context.Context, g *gateway, leg *url.URL) error {
	leg.Host = g.base.Host
	response, err := exchange(ctx, g.http, http.MethodGet, leg, nil)
	if err != nil {
		return err
	}
	if response.status >= http.StatusBadRequest {
		return exitWith(statusExit(response.status), "the page was completed, but the gateway's return leg answered %d\n"+
			"The result still comes: `verigate watch %s`.", response.status, p.VerificationID)
	}
	p.Returned, p.AppURL = true, response.location
	return nil
}

// pageAnswer is what a page answered.
type pageAnswer struct {
	status   int
	location string
	body     []byte
}

// exchange sends one request without any credential and reads the answer.
func exchange(ctx context.Context, client *http.Client, method string, target *url.URL, body []byte) (pageAnswer, error) {
	request, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(body))
	if err != nil {
		return pageAnswer{}, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := client.Do(request)
	if err != nil {
		// The address holds a token or nonce; the error would show it.
		return pageAnswer{}, exitWith(exitOf(ctx), "the sandbox at %s://%s does not answer\nIs `verigate dev` still running?", target.Scheme, target.Host)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxSandboxAnswer))
	if err != nil {
		return pageAnswer{}, exitWith(exitOf(ctx), "the sandbox's answer was cut off\nTry again in a moment.")
	}
	return pageAnswer{status: response.StatusCode, location: response.Header.Get("Location"), body: text}, nil
}

// exitOf tells an interruption from a server that does not answer.
func exitOf(ctx context.Context) int {
	if errors.Is(ctx.Err(), context.Canceled) {
		return exitInterrupted
	}
	return exitUnreachable
}

// statusExit is the exit code of a refused page.
func statusExit(status int) int {
	switch status {
	case http.StatusBadRequest:
		return exitUsage
	case http.StatusNotFound:
		return exitNotFound
	case http.StatusConflict, http.StatusGone:
		return exitRefused
	case http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout:
		return exitUnreachable
	default:
		return exitInternal
	}
}
