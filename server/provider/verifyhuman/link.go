package verifyhuman

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/verification"
)

// The prefixes of this adapter's provider refs.
const (
	tokenRefPrefix        = "token:"
	sessionRefPrefix      = "session:"
	verificationRefPrefix = "verification:"
)

// The keys that may tie a payload to a verification. VerifyHuman documents none
// of them for hosted pages; if it sends one all the same, the match is exact.
const (
	keyMetadata   = "metadata"
	keySessionID  = "session_id"
	keyVerigateID = "verigate_id"
)

// uuidTextLength is the canonical form's; uuid.Parse would take others too, and
// 32 hex digits can be anybody's reference.
const uuidTextLength = 36

var errTwoVerifications = errors.New("its reference keys name two different verifications")

func tokenKeys() []string { return []string{"token", "hosted_token"} }

func referenceKeys() []string {
	return []string{"session_ref", "external_id", "client_reference_id", "reference"}
}

// hashedRef is the provider ref of a hosted token. The token opens the page, so
// it is kept as a hash only.
func hashedRef(token string) string {
	sum := sha256.Sum256([]byte(token))
	return tokenRefPrefix + hex.EncodeToString(sum[:])
}

// addLinks adds what the link keys at the top level and in data say: our own id,
// hosted tokens (Keys, since Start knew them) and session ids (Refs, since Start
// did not). Two different ids of ours are an error: picking one could decide the
// wrong person's verification.
func (p payload) addLinks(event *verification.Event) error {
	for _, o := range []object{p.top, p.data} {
		event.Keys = append(event.Keys, o.tokenRefs()...)
		event.Refs = append(event.Refs, o.sessionRefs()...)
		metadata, err := o.metadata()
		if err != nil {
			return err
		}
		ids := append(o.ourIDs(referenceKeys()), metadata.ourIDs(append(referenceKeys(), keyVerigateID))...)
		for _, id := range ids {
			if event.VerificationID != "" && event.VerificationID != id {
				return errTwoVerifications
			}
			event.VerificationID = id
		}
	}
	event.Keys = distinct(event.Keys)
	event.Refs = distinct(event.Refs)
	return nil
}

func distinct(refs []string) []string {
	slices.Sort(refs)
	return slices.Compact(refs)
}

func (o object) tokenRefs() []string {
	var refs []string
	for _, key := range tokenKeys() {
		if token, ok := o.text(key); ok && token != "" {
			refs = append(refs, hashedRef(token))
		}
	}
	return refs
}

func (o object) sessionRefs() []string {
	if id, err := o.label(keySessionID); err == nil {
		return []string{sessionRefPrefix + id}
	}
	return nil
}

// metadata returns the object under the key metadata, an empty one if something
// else stands there: a label of the provider's own is no reason to refuse.
func (o object) metadata() (object, error) {
	if raw := o.fields[keyMetadata]; len(raw) == 0 || raw[0] != '{' {
		return object{}, nil
	}
	return o.child(keyMetadata)
}

// ourIDs returns the values under keys that look like ids of this gateway.
func (o object) ourIDs(keys []string) []string {
	var ids []string
	for _, key := range keys {
		text, ok := o.text(key)
		if !ok || len(text) != uuidTextLength {
			continue
		}
		if id, err := uuid.Parse(text); err == nil {
			ids = append(ids, id.String())
		}
	}
	return ids
}
