package sandbox

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"time"
)

const (
	// defaultExpiry is how long a token lives when the request does not say;
	// maxExpiryHours bounds what it may ask for. VerifyHuman documents neither,
	// so both are our choice.
	defaultExpiry  = 24 * time.Hour
	maxExpiryHours = 8760

	defaultTitle   = "Verification"
	defaultSuccess = "Verification complete. You can close this page."
	defaultFailure = "Verification was not successful. You can close this page."
)

// generated is the answer of hosted/generate: these three fields and no other,
// as the seed document shows. There is no verification id in it.
type generated struct {
	HostedURL string `json:"hosted_url"`
	Token     string `json:"token"`
	ExpiresAt string `json:"expires_at"`
}

func (v *VerifyHuman) generate(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r, jsonType)
	if err != nil {
		return err
	}
	if err := v.generateFault(w, r); err != nil {
		return err
	}
	page, lifetime, err := readGenerate(body)
	if err != nil {
		return badRequest(err)
	}
	s := &session{
		hostedPage: page.withTexts(),
		token:      rand.Text(),
		expires:    v.now().Add(lifetime).UTC().Truncate(time.Second),
	}
	v.mu.Lock()
	v.sessions.put(s.token, s)
	v.mu.Unlock()
	v.log.InfoContext(r.Context(), "sandbox: hosted session made")
	return writeJSON(w, http.StatusOK, generated{
		HostedURL: v.baseURL + "/hosted/v/" + s.token,
		Token:     s.token,
		ExpiresAt: s.expires.Format(time.RFC3339),
	})
}

// generateFault plays a provider that refuses, breaks or hangs.
func (v *VerifyHuman) generateFault(w http.ResponseWriter, r *http.Request) error {
	faults := v.Faults()
	if faults.GenerateHang {
		return v.hang(r)
	}
	switch faults.GenerateStatus {
	case 0:
		return nil
	case http.StatusUnauthorized:
		return refuse(http.StatusUnauthorized, "Invalid API key")
	case http.StatusPaymentRequired:
		// The text is from VerifyHuman's FAQ.
		return refuse(http.StatusPaymentRequired, "No verification credits remaining")
	case http.StatusForbidden:
		return refuse(http.StatusForbidden, "API key does not include this product")
	case http.StatusTooManyRequests:
		w.Header().Set("Retry-After", "1")
		return refuse(http.StatusTooManyRequests, "Too many requests")
	default:
		return refuse(faults.GenerateStatus, "The sandbox was told to answer %d", faults.GenerateStatus)
	}
}

// readGenerate reads the fields of the seed document's request. The document
// does not say what becomes of others; they are refused, so that an adapter
// cannot come to rely on one. Only product is required, which is our choice.
func readGenerate(body []byte) (hostedPage, time.Duration, error) {
	var page hostedPage
	const text = "a string"
	hours := int(defaultExpiry / time.Hour)
	const wantHours = "a whole number of hours from 1 to 8760"
	err := decodeObject(body, "", map[string]field{
		"product":              into(&page.product, text),
		"redirect_url":         into(&page.redirectURL, text),
		"failure_redirect_url": into(&page.failureRedirectURL, text),
		"expires_in_hours":     into(&hours, wantHours),
		"page_title":           into(&page.title, text),
		"success_message":      into(&page.successMessage, text),
		"failure_message":      into(&page.failureMessage, text),
	})
	if err != nil {
		return hostedPage{}, 0, err
	}
	var problems []error
	if !knownProduct(page.product) {
		problems = append(problems, errors.New("product: must be "+wantProduct))
	}
	if hours < 1 || hours > maxExpiryHours {
		problems = append(problems, errors.New("expires_in_hours: must be "+wantHours))
	}
	if err := optionalRedirect(page.redirectURL); err != nil {
		problems = append(problems, fmt.Errorf("redirect_url: %w", err))
	}
	if err := optionalRedirect(page.failureRedirectURL); err != nil {
		problems = append(problems, fmt.Errorf("failure_redirect_url: %w", err))
	}
	return page, time.Duration(hours) * time.Hour, joinProblems(problems)
}

// withTexts fills in the texts that were left out.
func (p hostedPage) withTexts() hostedPage {
	if p.title == "" {
		p.title = defaultTitle
	}
	if p.successMessage == "" {
		p.successMessage = defaultSuccess
	}
	if p.failureMessage == "" {
		p.failureMessage = defaultFailure
	}
	return p
}
