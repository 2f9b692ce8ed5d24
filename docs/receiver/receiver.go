// Package receiver is how a backend receives Verigate's callbacks: the example
// of docs/callbacks.md, as it compiles and is tested.
package receiver

import (
	"io"
	"net/http"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"google.golang.org/protobuf/encoding/protojson"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

// Handler verifies each callback with the secret, whsec_ and base64, and hands
// its event on. When handle fails, the gateway sends the callback again.
func Handler(secret string, handle func(*verigatev1.Event) error) (http.Handler, error) {
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The signature is over the bytes as they arrived: read before you parse.
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil || verifier.Verify(body, r.Header) != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		event := &verigatev1.Event{}
		// A newer gateway may know more fields.
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, event); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if err := handle(event); err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}), nil
}
