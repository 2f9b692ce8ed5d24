package aiprise

import (
	"crypto/hmac"
	"crypto/sha256"
	"log/slog"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/provider/edge"
)

// headerSignature carries the hex digits of an HMAC-SHA256 over the raw body,
// keyed with the API key, without a prefix (seed document). No header carries a
// time: against a replay stand deduplication and the state machine.
const headerSignature = "X-HMAC-SIGNATURE"

// Authenticate checks, in this order, the signature over the exact bytes and
// that the signed body is of the connection's environment. Any failure is
// provider.ErrUnauthentic with a reason that repeats no value. A signed body
// that cannot be read passes: it is Decode's to call unreadable.
func (a *adapter) Authenticate(w provider.Webhook) error {
	signature, err := edge.HeaderMAC(w.Header, headerSignature, "")
	if err != nil {
		return err
	}
	matched, ok := a.matchingKey(signature, w.Body)
	if !ok {
		return edge.Unauthentic("no API key matches header %s", headerSignature)
	}
	if p, err := parsePayload(w.Body); err == nil {
		if err := p.checkEnvironment(a.settings.Environment); err != nil {
			return edge.Unauthentic("%w", err)
		}
	}
	if len(a.settings.APIKeys) > 1 {
		// While keys are rotated, this tells when the old one is out of use.
		a.log.Debug("webhook signature matched", slog.String("provider", Name), slog.Int("api_keys_index", matched))
	}
	return nil
}

// matchingKey tries every key, always all of them, so that the time it takes
// does not tell which one came close.
func (a *adapter) matchingKey(signature, body []byte) (int, bool) {
	matched, ok := 0, false
	for i, key := range a.settings.APIKeys {
		mac := hmac.New(sha256.New, []byte(key.Reveal()))
		mac.Write(body)
		if hmac.Equal(signature, mac.Sum(nil)) {
			matched, ok = i, true
		}
	}
	return matched, ok
}
