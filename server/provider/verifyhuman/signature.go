package verifyhuman

import (
	"crypto/hmac"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/provider/edge"
)

// The headers of VerifyHuman's webhooks page. The seed document sends only the
// first. Delivery-Id, the sixth, differs in every attempt and says nothing.
const (
	headerSignature   = "X-VerifyHuman-Signature"
	headerTimestamp   = "X-VerifyHuman-Timestamp"
	headerEvent       = "X-VerifyHuman-Event"
	headerEventID     = "X-VerifyHuman-Event-Id"
	headerEnvironment = "X-VerifyHuman-Environment"
)

// signaturePrefix names the algorithm, HMAC-SHA256, in front of the hex digits.
const signaturePrefix = "sha256="

// maxTimestampDigits keeps a Unix time far inside what time.Time can hold.
const maxTimestampDigits = 12

// Authenticate checks, in this order, the signature over the exact bytes, the
// timestamp against the arrival, and that headers, body and connection agree
// (agreement.go). Any failure is provider.ErrUnauthentic with a reason that
// repeats no value. A signed body that is no JSON passes: it is Decode's to
// call unreadable.
func (a *adapter) Authenticate(w provider.Webhook) error {
	signature, err := edge.HeaderMAC(w.Header, headerSignature, signaturePrefix)
	if err != nil {
		return err
	}
	timestamp, err := timestampIn(w.Header)
	if err != nil {
		return err
	}
	if timestamp == "" && a.settings.SignatureMode == SignatureTimestampBody {
		return edge.Unauthentic("header %s is missing, and signature_mode ts_dot_body needs it", headerTimestamp)
	}
	mode, ok := a.matchingMode(signature, timestamp, w.Body)
	if !ok {
		return edge.Unauthentic("no webhook secret matches header %s", headerSignature)
	}
	if err := a.checkAge(timestamp, w.ReceiveTime); err != nil {
		return err
	}
	if err := a.checkAgreement(w); err != nil {
		return err
	}
	if a.settings.SignatureMode == SignatureAuto {
		a.log.Debug("webhook signature matched", slog.String("provider", Name), slog.String("signature_mode", string(mode)))
	}
	return nil
}

// timestampIn returns the timestamp header as it was sent, because its bytes may
// be signed; empty if there is none. VerifyHuman's webhooks page defines it as
// Unix seconds.
func timestampIn(header http.Header) (string, error) {
	value, there, err := edge.OnlyHeader(header, headerTimestamp)
	if err != nil || !there {
		return "", err
	}
	if _, ok := unixSeconds(value); !ok {
		return "", edge.Unauthentic("header %s is not a time in Unix seconds", headerTimestamp)
	}
	return value, nil
}

func unixSeconds(text string) (time.Time, bool) {
	if len(text) > maxTimestampDigits {
		return time.Time{}, false
	}
	seconds, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return time.Time{}, false
	}
	return time.Unix(int64(seconds), 0), true
}

// matchingMode tries every mode with every secret, always all of them, so that
// the time it takes does not tell which one came close.
func (a *adapter) matchingMode(signature []byte, timestamp string, body []byte) (SignatureMode, bool) {
	var matched SignatureMode
	for _, mode := range a.modes(timestamp) {
		for _, key := range a.settings.WebhookSecrets {
			if hmac.Equal(signature, sign(key.Reveal(), mode, timestamp, body)) {
				matched = mode
			}
		}
	}
	return matched, matched != ""
}

// modes lists what to try. Trying both opens no way to forge: a signed JSON
// object cannot be read as digits, a dot and another JSON object, and the other
// way round is no JSON object.
func (a *adapter) modes(timestamp string) []SignatureMode {
	switch a.settings.SignatureMode {
	case SignatureBody:
		return []SignatureMode{SignatureBody}
	case SignatureTimestampBody:
		return []SignatureMode{SignatureTimestampBody}
	case SignatureAuto:
		if timestamp == "" {
			return []SignatureMode{SignatureBody}
		}
		return []SignatureMode{SignatureBody, SignatureTimestampBody}
	}
	return nil
}

func sign(key string, mode SignatureMode, timestamp string, body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(key))
	if mode == SignatureTimestampBody {
		mac.Write([]byte(timestamp + "."))
	}
	mac.Write(body)
	return mac.Sum(nil)
}

// checkAge refuses a timestamp too far from the arrival, past or future. No
// timestamp has no age.
func (a *adapter) checkAge(timestamp string, received time.Time) error {
	if timestamp == "" {
		return nil
	}
	signed, ok := unixSeconds(timestamp)
	if !ok || received.Sub(signed).Abs() > a.settings.TimestampTolerance {
		return edge.Unauthentic("header %s is more than timestamp_tolerance away from the arrival; check both clocks", headerTimestamp)
	}
	return nil
}
