package verifyhuman

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/verigate/verigate/server/provider/edge"
	"github.com/verigate/verigate/server/verification"
)

// headerPrivateKey carries the key in the scheme of VerifyHuman's API reference.
const headerPrivateKey = "X-API-Key"

// generateRequest is the body of POST /hosted/generate, with the keys of the
// seed document. It knows no key for a reference of ours.
type generateRequest struct {
	Product            string `json:"product"`
	RedirectURL        string `json:"redirect_url,omitempty"`
	FailureRedirectURL string `json:"failure_redirect_url,omitempty"`
	ExpiresInHours     int64  `json:"expires_in_hours"`
	PageTitle          string `json:"page_title,omitempty"`
	SuccessMessage     string `json:"success_message,omitempty"`
	FailureMessage     string `json:"failure_message,omitempty"`
}

// Start opens a hosted page. A flow with a stable page needs no call, and gets
// no provider ref: its page is the same for everybody, so only a webhook that
// names the verification otherwise can be an exact match.
func (a *adapter) Start(ctx context.Context, r verification.StartSession) (verification.Session, error) {
	if r.HostedURL != "" {
		return verification.Session{HostedURL: r.HostedURL}, nil
	}
	answer, err := a.call(ctx, endpointGenerate, func(ctx context.Context) (*http.Request, error) {
		return a.generate(ctx, r)
	})
	if err != nil {
		return verification.Session{}, err
	}
	session, err := sessionIn(answer)
	if err != nil {
		return verification.Session{}, endpointGenerate.Unreadable(err)
	}
	if strings.HasPrefix(a.base, "https:") && !strings.HasPrefix(session.HostedURL, "https:") {
		return verification.Session{}, endpointGenerate.Unreadable(errors.New("hosted_url is plain http"))
	}
	if session.ExpireTime.IsZero() {
		// The page works for as long as was asked for, in whole hours.
		session.ExpireTime = r.Now.Add(time.Duration(wholeHours(r.ExpireTime.Sub(r.Now))) * time.Hour)
	}
	return session, nil
}

func (a *adapter) generate(ctx context.Context, r verification.StartSession) (*http.Request, error) {
	body, err := json.Marshal(generateRequest{
		Product:            r.Product,
		RedirectURL:        r.ReturnURL,
		FailureRedirectURL: r.FailureReturnURL,
		ExpiresInHours:     wholeHours(r.ExpireTime.Sub(r.Now)),
		PageTitle:          r.PageTitle,
		SuccessMessage:     r.SuccessMessage,
		FailureMessage:     r.FailureMessage,
	})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.base+"/hosted/generate", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	switch a.settings.AuthScheme {
	case AuthBearer:
		request.Header.Set("Authorization", "Bearer "+a.settings.APIKey.Reveal())
	case AuthXAPIKey:
		request.Header.Set(headerPrivateKey, a.settings.APIKey.Reveal())
	}
	return request, nil
}

// wholeHours rounds up, because VerifyHuman takes hours only: its page may
// outlive the verification, and never the other way round. At least one.
func wholeHours(lifetime time.Duration) int64 {
	hours := int64(lifetime / time.Hour)
	if lifetime%time.Hour > 0 {
		hours++
	}
	return max(hours, 1)
}

// sessionIn reads the answer. expires_at may be absent, but not unreadable.
func sessionIn(answer edge.Object) (verification.Session, error) {
	page, _, _ := answer.Text("hosted_url")
	if !isWebURL(page) {
		return verification.Session{}, errors.New("hosted_url is missing or not an absolute http or https URL")
	}
	token, _, _ := answer.Text("token")
	if token == "" {
		return verification.Session{}, errors.New("token is missing or empty")
	}
	session := verification.Session{HostedURL: page, Refs: []string{hashedRef(token)}}
	if !answer.Has("expires_at") {
		return session, nil
	}
	text, _, _ := answer.Text("expires_at")
	expire, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return verification.Session{}, errors.New("expires_at is not an RFC 3339 time")
	}
	session.ExpireTime = expire.UTC()
	return session, nil
}

func isWebURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" && u.User == nil
}
