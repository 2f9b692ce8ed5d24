package verifyhuman

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"

	"github.com/verigate/verigate/server/provider/edge"
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
	for _, o := range []edge.Object{p.top, p.data} {
		event.Keys = append(event.Keys, tokenRefs(o)...)
		event.Refs = append(event.Refs, sessionRefs(o)...)
		metadata, err := metadataIn(o)
		if err != nil {
			return err
		}
		ids := append(ourIDs(o, referenceKeys()), ourIDs(metadata, append(referenceKeys(), keyVerigateID))...)
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

func tokenRefs(o edge.Object) []string {
	var refs []string
	for _, key := range tokenKeys() {
		if token, said, _ := o.Text(key); said && token != "" {
			refs = append(refs, hashedRef(token))
		}
	}
	return refs
}

func sessionRefs(o edge.Object) []string {
	if id, err := o.Label(keySessionID); err == nil && id != "" {
		return []string{sessionRefPrefix + id}
	}
	return nil
}

// metadataIn returns the object under the key metadata, an empty one if something
// else stands there: a label of the provider's own is no reason to refuse.
func metadataIn(o edge.Object) (edge.Object, error) {
	if !o.IsKind(keyMetadata, '{') {
		return edge.Object{}, nil
	}
	return o.Child(keyMetadata)
}

// ourIDs returns the values under keys that look like ids of this gateway.
func ourIDs(o edge.Object, keys []string) []string {
	var ids []string
	for _, key := range keys {
		text, _, _ := o.Text(key)
		if id, ok := edge.UUID(text); ok {
			ids = append(ids, id)
		}
	}
	return ids
}
