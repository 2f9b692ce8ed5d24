package server_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"sync"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/verification"
)

const (
	fakeSecret = "marked-webhook-secret"
	fakeHeader = "X-Fake-Signature"
	fakePage   = "https://pages.provider.test/v/"
)

// fakeProvider is the smallest honest provider: an HMAC over the body, and JSON
// that names the session key.
type fakeProvider struct {
	mu sync.Mutex
	// fault is what Start returns, if set.
	fault error
	// panics is what Start and Decode panic with, if set.
	panics any
	// legs are the return URLs of the starts, by verification.
	legs map[string]verification.StartSession
}

func newFakeProvider() *fakeProvider {
	return &fakeProvider{legs: make(map[string]verification.StartSession)}
}

// fakeSettings opens the one provider of a test.
type fakeSettings struct{ provider *fakeProvider }

func (fakeSettings) Validate(bool) []provider.Problem                { return nil }
func (s fakeSettings) Open(provider.Deps) (provider.Provider, error) { return s.provider, nil }
func (*fakeProvider) Name() string                                   { return "fake" }
func (p *fakeProvider) startOf(id string) verification.StartSession {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.legs[id]
}

func (p *fakeProvider) failStarts(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = err
}

func (p *fakeProvider) panicWith(value any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.panics = value
}

func (p *fakeProvider) panicIfAsked() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.panics != nil {
		panic(p.panics)
	}
}

func (p *fakeProvider) Start(_ context.Context, r verification.StartSession) (verification.Session, error) {
	p.panicIfAsked()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fault != nil {
		return verification.Session{}, p.fault
	}
	id := r.VerificationID.String()
	p.legs[id] = r
	return verification.Session{HostedURL: fakePage + id, Refs: []string{"key:" + id}}, nil
}

func (*fakeProvider) Authenticate(w provider.Webhook) error {
	if !hmac.Equal([]byte(w.Header.Get(fakeHeader)), []byte(fakeSignature(w.Body))) {
		return provider.ErrUnauthentic
	}
	return nil
}

func fakeSignature(body []byte) string {
	mac := hmac.New(sha256.New, []byte(fakeSecret))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// fakeHook is the body of a fake webhook.
type fakeHook struct {
	ID   string `json:"id"`
	Kind string `json:"kind"`
	For  string `json:"for"`
	Name string `json:"name,omitempty"`
}

func (p *fakeProvider) Decode(w provider.Webhook) (provider.Notice, error) {
	p.panicIfAsked()
	var hook fakeHook
	if err := json.Unmarshal(w.Body, &hook); err != nil || hook.ID == "" {
		return provider.Notice{}, errors.New("the body is not a fake webhook")
	}
	notice := provider.Notice{Kind: provider.NoticeEvent, DedupeKey: hook.ID, ProviderEvent: hook.Kind}
	switch hook.Kind {
	case "ping":
		notice.Kind = provider.NoticePing
	case "unheard":
		notice.Kind = provider.NoticeUnknown
	}
	notice.Event = verification.Event{Kind: verification.EventKind(hook.Kind), Keys: []string{"key:" + hook.For}}
	return notice, nil
}

// unopenable is a connection that its adapter refuses.
type unopenable struct{ fakeSettings }

func (unopenable) Open(provider.Deps) (provider.Provider, error) {
	return nil, errors.New("cannot be opened")
}
