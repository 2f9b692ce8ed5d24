package aiprise

import (
	"errors"
	"net/url"
	"time"

	"github.com/verigate/verigate/server/provider/edge"
	"github.com/verigate/verigate/server/verification"
)

// fallbackLifetime is how long a page works when the answer does not say so
// (AiPrise docs, guide). Its other pages say 24 hours: the shorter one is safe.
const fallbackLifetime = 30 * time.Minute

const (
	schemeHTTPS = "https"
	schemeHTTP  = "http"
)

// sessionIn reads the answer of a start. The host of the page is not compared
// with anything: AiPrise's pages name two different ones.
func (a *adapter) sessionIn(answer edge.Object, now time.Time) (verification.Session, error) {
	text, _, err := answer.Text("verification_url")
	if err != nil {
		return verification.Session{}, err
	}
	page, err := url.Parse(text)
	if err != nil || !a.isPage(page) {
		return verification.Session{}, errors.New("verification_url is missing or not an absolute https URL")
	}
	id, err := sessionID(answer, page)
	if err != nil {
		return verification.Session{}, err
	}
	return verification.Session{
		HostedURL:  text,
		Refs:       []string{sessionRefPrefix + id},
		ExpireTime: expiryIn(answer, now),
	}, nil
}

// isPage takes plain http from an account that is itself on a loopback address.
func (a *adapter) isPage(page *url.URL) bool {
	if page.Hostname() == "" || page.User != nil {
		return false
	}
	return page.Scheme == schemeHTTPS ||
		page.Scheme == schemeHTTP && a.isPlain() && edge.IsLoopback(page.Hostname())
}

// sessionID reads the id in the answer or in the page's URL: AiPrise's guide
// shows it only there. Two ids are an error: one of them is somebody else's.
func sessionID(answer edge.Object, page *url.URL) (string, error) {
	id, err := answer.Label(keySessionID)
	if err != nil {
		return "", err
	}
	query, err := url.ParseQuery(page.RawQuery)
	if err != nil {
		return "", errors.New("verification_url has a query that cannot be read")
	}
	for _, said := range query[keySessionID] {
		if id != "" && said != id {
			return "", errors.New("verification_url and verification_session_id name different sessions")
		}
		id = said
	}
	if !edge.IsPathLabel(id) {
		return "", errors.New("verification_session_id is missing or not usable")
	}
	return id, nil
}

// expiryLayouts are the forms of ISO 8601 that session_expiry_time is read in.
// One without a zone is taken for UTC.
func expiryLayouts() []string {
	return []string{time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05"}
}

// expiryIn is when the page stops working. A session that was just opened is not
// over yet, so a time that says so is as good as none.
func expiryIn(answer edge.Object, now time.Time) time.Time {
	text, _, _ := answer.Text("session_expiry_time")
	for _, layout := range expiryLayouts() {
		if expiry, err := time.Parse(layout, text); err == nil && expiry.After(now) {
			return expiry.UTC()
		}
	}
	return now.Add(fallbackLifetime).UTC()
}
