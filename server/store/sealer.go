package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/verigate/verigate/gen/sqlc"
	"github.com/verigate/verigate/server/seal"
	"github.com/verigate/verigate/server/verification"
)

// sealer seals what a delivery brought and opens it again.
type sealer struct {
	keyring func() *seal.Keyring
}

// content is what is stored of a delivery's headers and body.
type content struct {
	keyID         string
	headers, body []byte
}

// The columns of delivery that are sealed. Their names are part of what a
// sealed value is bound to, so they stay.
const (
	columnHeaders = "headers"
	columnBody    = "body"
)

// errNoKeyring is for the log.
var errNoKeyring = errors.New("the store was opened without encryption keys, so it can neither keep nor open what a delivery brought")

// sealedIn names where a sealed value lies: it opens nowhere else, so neither
// another row nor another tenant can be given it. The lengths keep one list of
// words from reading as another.
func sealedIn(at verification.Place, column string) []byte {
	name := at.ID[:]
	for _, word := range []string{at.Scope.Project, string(at.Scope.Environment), column} {
		name = binary.BigEndian.AppendUint64(name, uint64(len(word)))
		name = append(name, word...)
	}
	return name
}

func (s sealer) ring() (*seal.Keyring, error) {
	if s.keyring != nil {
		if ring := s.keyring(); ring != nil {
			return ring, nil
		}
	}
	return nil, internal(errNoKeyring)
}

// seal seals under the keyring's first key.
func (s sealer) seal(at verification.Place, headers map[string]string, body []byte) (content, error) {
	ring, err := s.ring()
	if err != nil {
		return content{}, err
	}
	text, err := json.Marshal(notNil(headers))
	if err != nil {
		return content{}, internal(err)
	}
	c := content{keyID: ring.KeyID()}
	if c.headers, err = ring.Seal(text, sealedIn(at, columnHeaders)); err != nil {
		return content{}, internal(err)
	}
	if c.body, err = ring.Seal(body, sealedIn(at, columnBody)); err != nil {
		return content{}, internal(err)
	}
	return c, nil
}

// sealed is the row of a delivery; one that is to be emptied has no content.
func (s sealer) sealed(d *verification.Delivery, now time.Time) (sqlc.DeliveryInsertParams, error) {
	params := deliveryParams(d, now)
	if d.Emptied {
		params.Keys, params.Refs, params.NamedID = []string{}, []string{}, ""
		params.PurgeTime = &now
		return params, nil
	}
	content, err := s.seal(verification.Place{Scope: d.Scope, ID: d.ID}, d.Headers, d.Body)
	params.KeyID, params.Headers, params.Body = content.keyID, content.headers, content.body
	return params, err
}

// open returns what a row that is not purged holds. A row without a key id is
// from before deliveries were sealed.
func (s sealer) open(r sqlc.Delivery) (map[string]string, []byte, error) {
	text, body := r.Headers, r.Body
	if r.KeyID != "" {
		ring, err := s.ring()
		if err != nil {
			return nil, nil, err
		}
		at := place(r.ID, r.Project, r.Environment)
		if text, err = ring.Open(r.KeyID, r.Headers, sealedIn(at, columnHeaders)); err != nil {
			return nil, nil, internal(fmt.Errorf("the headers of delivery %s: %w", r.ID, err))
		}
		if body, err = ring.Open(r.KeyID, r.Body, sealedIn(at, columnBody)); err != nil {
			return nil, nil, internal(fmt.Errorf("the body of delivery %s: %w", r.ID, err))
		}
	}
	var headers map[string]string
	if err := readJSON(columnHeaders, text, &headers); err != nil {
		return nil, nil, internal(err)
	}
	return headers, body, nil
}

// internal is our own fault; cause is for the log and holds nothing personal.
func internal(cause error) error {
	return verification.NewError(verification.KindInternal, "INTERNAL", "internal error").WithCause(cause)
}
