package providertest

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/verigate/verigate/server/provider"
)

func runAuthentication(t *testing.T, h Harness) {
	t.Helper()
	for _, f := range h.Fixtures {
		t.Run("both secrets of a rotation pass: "+f.Name, func(t *testing.T) {
			t.Parallel()
			p, log := h.open(t)
			for _, secret := range []string{currentSecret, previousSecret} {
				if err := p.Authenticate(h.webhook(f, secret, arrival())); err != nil {
					t.Errorf("Authenticate: %v", err)
				}
			}
			refuseText(t, "the log", log.String(), currentSecret, previousSecret, string(f.Body))
		})
		t.Run("any flipped bit of the body fails: "+f.Name, func(t *testing.T) {
			t.Parallel()
			h.flipBits(t, f)
		})
	}
	t.Run("another secret fails", func(t *testing.T) {
		t.Parallel()
		h.refuses(t, h.webhook(h.Fixtures[0], foreignSecret, arrival()))
	})
	t.Run("an empty secret fails", func(t *testing.T) {
		t.Parallel()
		h.refuses(t, h.webhook(h.Fixtures[0], "", arrival()))
	})
	t.Run("a body cut short or continued fails", func(t *testing.T) {
		t.Parallel()
		w := h.webhook(h.Fixtures[0], currentSecret, arrival())
		cut, longer := w, w
		cut.Body = w.Body[:len(w.Body)-1]
		longer.Body = append(append([]byte{}, w.Body...), '\n')
		h.refuses(t, cut)
		h.refuses(t, longer)
	})
	h.runSignatureHeader(t)
	h.runReplay(t)
	t.Run("many at once pass", func(t *testing.T) {
		t.Parallel()
		h.authenticateTogether(t)
	})
}

func (h Harness) webhook(f Fixture, secret string, signed time.Time) provider.Webhook {
	return provider.Webhook{Header: h.Sign(f.Body, secret, signed), Body: f.Body, ReceiveTime: arrival()}
}

// refuses checks that the webhook is refused, with an error that the ingress
// recognises and that gives nothing away.
func (h Harness) refuses(t *testing.T, w provider.Webhook) {
	t.Helper()
	p, log := h.open(t)
	err := p.Authenticate(w)
	if !errors.Is(err, provider.ErrUnauthentic) {
		t.Fatalf("Authenticate: got %v, want ErrUnauthentic", err)
	}
	good := h.Sign(w.Body, currentSecret, arrival()).Get(h.SignatureHeader)
	_, expected, found := strings.Cut(good, "=")
	if !found {
		expected = good
	}
	for where, text := range map[string]string{"the error": err.Error(), "the log": log.String()} {
		refuseText(t, where, text, currentSecret, previousSecret, expected)
	}
}

func (h Harness) flipBits(t *testing.T, f Fixture) {
	t.Helper()
	p, _ := h.open(t)
	w := h.webhook(f, currentSecret, arrival())
	w.Body = append([]byte{}, f.Body...)
	for at := range w.Body {
		for bit := range 8 {
			w.Body[at] ^= 1 << bit
			if err := p.Authenticate(w); !errors.Is(err, provider.ErrUnauthentic) {
				t.Fatalf("byte %d, bit %d flipped: got %v, want ErrUnauthentic", at, bit, err)
			}
			w.Body[at] ^= 1 << bit
		}
	}
}

func (h Harness) runSignatureHeader(t *testing.T) {
	t.Helper()
	f := h.Fixtures[0]
	good := h.Sign(f.Body, currentSecret, arrival()).Get(h.SignatureHeader)
	foreign := h.Sign(f.Body, foreignSecret, arrival()).Get(h.SignatureHeader)
	cases := map[string][]string{
		"a missing signature fails":                     nil,
		"the signature twice fails":                     {good, good},
		"a good signature before another fails":         {good, foreign},
		"a good signature after another fails":          {foreign, good},
		"two signatures in one line fail":               {good + "," + good},
		"an empty signature fails":                      {""},
		"a signature cut short fails":                   {good[:len(good)-1]},
		"half a signature fails":                        {good[:len(good)/2]},
		"a longer signature fails":                      {good + "0"},
		"a signature with a changed last digit fails":   {good[:len(good)-1] + otherDigit(good[len(good)-1])},
		"a signature that is no signature at all fails": {"nonsense"},
	}
	for _, malformed := range h.MalformedSignatures {
		cases["the malformed signature "+malformed+" fails"] = []string{malformed}
	}
	for name, values := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := h.webhook(f, currentSecret, arrival())
			w.Header[http.CanonicalHeaderKey(h.SignatureHeader)] = values
			if values == nil {
				w.Header.Del(h.SignatureHeader)
			}
			h.refuses(t, w)
		})
	}
	t.Run("no headers at all fail", func(t *testing.T) {
		t.Parallel()
		h.refuses(t, provider.Webhook{Body: f.Body, ReceiveTime: arrival()})
	})
}

func otherDigit(digit byte) string {
	if digit == '0' {
		return "1"
	}
	return "0"
}

func (h Harness) runReplay(t *testing.T) {
	t.Helper()
	if h.ReplayWindow == 0 {
		return
	}
	f := h.Fixtures[0]
	for name, age := range map[string]time.Duration{
		"a stale signature fails":           h.ReplayWindow + time.Second,
		"a signature from the future fails": -h.ReplayWindow - time.Second,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h.refuses(t, h.webhook(f, currentSecret, arrival().Add(-age)))
		})
	}
	t.Run("a signature on either edge of the window passes", func(t *testing.T) {
		t.Parallel()
		p, _ := h.open(t)
		for _, age := range []time.Duration{h.ReplayWindow, -h.ReplayWindow} {
			if err := p.Authenticate(h.webhook(f, currentSecret, arrival().Add(-age))); err != nil {
				t.Errorf("Authenticate at age %s: %v", age, err)
			}
		}
	})
}

func (h Harness) authenticateTogether(t *testing.T) {
	t.Helper()
	const together = 8
	p, _ := h.open(t)
	var all sync.WaitGroup
	for i := range together {
		f := h.Fixtures[i%len(h.Fixtures)]
		all.Go(func() {
			w := h.webhook(f, currentSecret, arrival())
			if err := p.Authenticate(w); err != nil {
				t.Errorf("Authenticate: %v", err)
			}
			if _, err := p.Decode(w); err != nil {
				t.Errorf("Decode: %v", err)
			}
		})
	}
	all.Wait()
}
