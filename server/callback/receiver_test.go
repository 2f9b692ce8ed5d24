package callback_test

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// whsec makes a secret as the Standard Webhooks specification writes it.
func whsec(name string) string {
	sum := sha256.Sum256([]byte(name))
	return "whsec_" + base64.StdEncoding.EncodeToString(sum[:])
}

// message is what a receiver got.
type message struct {
	id, body string
	header   http.Header
}

// receiver is a caller's backend. It refuses to know a message that the official
// library does not verify.
type receiver struct {
	*httptest.Server

	t      *testing.T
	answer http.HandlerFunc
	got    chan message
}

func receive(t *testing.T, answer http.HandlerFunc, secrets ...string) *receiver {
	t.Helper()
	if len(secrets) == 0 {
		secrets = []string{"current"}
	}
	r := &receiver{t: t, answer: answer, got: make(chan message, 1000)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return
		}
		for _, name := range secrets {
			verifier, err := webhooks.NewWebhook(whsec(name))
			if err != nil {
				t.Error(err)
				return
			}
			// The tests' clock is not the verifier's.
			if err := verifier.VerifyIgnoringTimestamp(body, request.Header); err != nil {
				t.Errorf("a verifier with the secret %s: %v", name, err)
			}
		}
		r.got <- message{request.Header.Get("webhook-id"), string(body), request.Header}
		if answer != nil {
			answer(w, request)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// ids returns what was received so far.
func (r *receiver) ids() []string {
	var ids []string
	for {
		select {
		case m := <-r.got:
			ids = append(ids, m.id)
		default:
			return ids
		}
	}
}

func status(codes ...int) http.HandlerFunc {
	var mu sync.Mutex
	return func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.WriteHeader(codes[0])
		if len(codes) > 1 {
			codes = codes[1:]
		}
	}
}
