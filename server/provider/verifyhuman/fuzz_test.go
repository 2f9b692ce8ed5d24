package verifyhuman_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/provider/providertest"
)

// FuzzSignatureHeader: whatever stands in the two headers, only a signature of
// the body by the secret is authentic.
func FuzzSignatureHeader(f *testing.F) {
	for _, digits := range []string{envelopeSignedBody, envelopeSignedBoth, flatSignedBody, flatSignedBoth} {
		f.Add("sha256="+digits, goldenTime)
		f.Add("sha256="+strings.ToUpper(digits), "")
	}
	f.Add("", "0")
	f.Add("sha256=", "-1")
	f.Add("sha1=00", "1779013800.0")
	p := open(f)
	f.Fuzz(func(t *testing.T, signature, timestamp string) {
		header := http.Header{}
		header.Set("X-VerifyHuman-Signature", signature)
		if timestamp != "" {
			header.Set("X-VerifyHuman-Timestamp", timestamp)
		}
		err := p.Authenticate(provider.Webhook{Header: header, Body: []byte(flatBody), ReceiveTime: goldenArrival()})
		if err != nil {
			if !errors.Is(err, provider.ErrUnauthentic) {
				t.Errorf("got %v, want ErrUnauthentic", err)
			}
			return
		}
		lower := strings.ToLower(signature)
		if lower != mac(goldenSecret, flatBody) && lower != mac(goldenSecret, timestamp+"."+flatBody) {
			t.Errorf("signature %q with timestamp %q is authentic", signature, timestamp)
		}
	})
}

// FuzzDecode: no body makes Decode panic or return what cannot be stored.
func FuzzDecode(f *testing.F) {
	for _, body := range []string{
		envelopeBody, flatBody, pingBody, flat(`"FAIL"`), flat(`"REVIEW"`),
		enveloped(`"token":"tok-demo-1"`, `"session_id":"msess_1"`, `"metadata":{"verigate_id":"`+ourID+`"}`),
		`{"event":"a\u0000"}`, "", "null", "{}",
	} {
		f.Add([]byte(body))
	}
	p := open(f)
	f.Fuzz(func(t *testing.T, body []byte) { providertest.CheckDecode(t, p, body) })
}
