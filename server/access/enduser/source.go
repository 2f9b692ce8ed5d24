package enduser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// fetchTimeout bounds a fetch: discovery and keys together.
	fetchTimeout = 5 * time.Second
	// maxDocument is the largest answer that is read, in bytes.
	maxDocument = 256 << 10
	// discoveryPath is where the discovery document is below the issuer (OpenID
	// Connect Discovery 1.0, section 4).
	discoveryPath = "/.well-known/openid-configuration"
)

// source is where the keys of one issuer come from.
type source struct {
	client  *http.Client
	issuer  string
	keysURL string
	// plainAllowed lets a discovered address be http on loopback.
	plainAllowed bool
}

func newSource(c Config, client *http.Client) *source {
	own := *client
	// The address that was configured is the one that is trusted.
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &source{client: &own, issuer: c.Issuer, keysURL: c.JWKSURL, plainAllowed: c.plainAllowed()}
}

// fetch returns the keys that the issuer publishes now. Its errors say which
// document is at fault and hold nothing of its text.
func (s *source) fetch(ctx context.Context) ([]key, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	address := s.keysURL
	if address == "" {
		found, err := s.discover(ctx)
		if err != nil {
			return nil, fmt.Errorf("discovery document: %w", err)
		}
		address = found
	}
	body, err := s.get(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	keys, err := parseKeys(body)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	return keys, nil
}

// discover returns the address of the key set. The document must be about this
// very issuer (OpenID Connect Discovery 1.0, section 4.3).
func (s *source) discover(ctx context.Context) (string, error) {
	// A slash at the end is not doubled (section 4).
	body, err := s.get(ctx, strings.TrimSuffix(s.issuer, "/")+discoveryPath)
	if err != nil {
		return "", err
	}
	var document struct {
		Issuer  string `json:"issuer"`
		KeysURL string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(body, &document); err != nil {
		return "", errors.New("the answer is not a JSON object of the expected form")
	}
	if document.Issuer != s.issuer {
		return "", errors.New("issuer: is not the configured one, which must be equal to the letter")
	}
	if _, err := parseURL(document.KeysURL, s.plainAllowed); err != nil {
		return "", fmt.Errorf("jwks_uri: %w", err)
	}
	return document.KeysURL, nil
}

// get returns a document. The content type is not asked for: key sets are
// served with several, and what counts is whether the text can be read.
func (s *source) get(ctx context.Context, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, withoutAddress(err)
	}
	request.Header.Set("Accept", "application/json")
	response, err := s.client.Do(request)
	if err != nil {
		return nil, withoutAddress(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answered with status %d, want %d", response.StatusCode, http.StatusOK)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("could not be read to its end: %w", err)
	}
	if len(body) > maxDocument {
		return nil, fmt.Errorf("is larger than %d bytes", maxDocument)
	}
	return body, nil
}

// withoutAddress takes a URL out of an error: its query may hold a key.
func withoutAddress(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
