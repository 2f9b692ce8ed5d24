package callback

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/verigate/verigate/server/contract"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/verification"
)

// message is what is sent: the same for every attempt but for the time and
// what follows from it.
type message struct {
	body   []byte
	header http.Header
}

// errSecret does not repeat the secret.
var errSecret = errors.New("a secret is not `whsec_` and base64; check callbacks in the configuration")

// newMessage makes and signs a message as the Standard Webhooks specification
// says: one signature for each secret.
func newMessage(r *verification.Record, secrets []secret.Value, at time.Time) (*message, error) {
	body, err := body(r)
	if err != nil {
		return nil, err
	}
	signatures := make([]string, 0, len(secrets))
	for _, s := range secrets {
		signer, err := webhooks.NewWebhook(s.Reveal())
		if err != nil {
			return nil, errSecret
		}
		signature, err := signer.Sign(r.EventID(), at, body)
		if err != nil {
			return nil, errSecret
		}
		signatures = append(signatures, signature)
	}
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set("User-Agent", "Verigate")
	header.Set(webhooks.HeaderWebhookID, r.EventID())
	header.Set(webhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	header.Set(webhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	return &message{body: body, header: header}, nil
}

// body is the Event in the JSON that the Protobuf documentation describes. The
// library varies its spaces on purpose; without them the bytes are the same for
// every attempt.
func body(r *verification.Record) ([]byte, error) {
	text, err := protojson.Marshal(contract.Event(r))
	if err != nil {
		return nil, err
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return nil, err
	}
	return compact.Bytes(), nil
}
