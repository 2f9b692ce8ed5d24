package enduser

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

const (
	// maxKeys is how many keys a key set may have; real ones have two to five.
	maxKeys = 100
	// An RSA key below 2048 bits is too weak (RFC 7518, section 3.3); one far
	// above costs more to use than any issuer needs.
	minRSABits = 2048
	maxRSABits = 8192
	// maxExponentText is how long an RSA exponent may be in base64url: six bytes,
	// so that it fits an int before it is judged.
	maxExponentText = 8
	minExponent     = 3
)

// key is one public key that may verify signatures.
type key struct {
	// id is empty if the issuer gave none.
	id string
	// algorithm is the only one that it may be used with; empty means any of its
	// kind.
	algorithm string
	kind      string
	public    any
}

// parseKeys reads a JWK set (RFC 7517, section 5). A key that it cannot use is
// left out, as the RFC asks; a text that is no set is an error. An empty set is
// none: the issuer has withdrawn its keys.
func parseKeys(body []byte) ([]key, error) {
	var document struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &document); err != nil || document.Keys == nil {
		return nil, errors.New("the answer is not a JSON object with an array of keys")
	}
	if len(document.Keys) > maxKeys {
		return nil, fmt.Errorf("the answer has %d keys, at most %d are read", len(document.Keys), maxKeys)
	}
	keys := make([]key, 0, len(document.Keys))
	for _, raw := range document.Keys {
		if k, ok := parseKey(raw); ok {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

// parseKey reads one JWK; false if it must not or cannot verify signatures.
func parseKey(raw json.RawMessage) (key, bool) {
	var m jwkset.JWKMarshal
	if err := json.Unmarshal(raw, &m); err != nil || !meantForSignatures(&m) {
		return key{}, false
	}
	// Only the public parameters are read: certificates prove nothing here, and a
	// symmetric key has no public ones. The library's own validation is skipped
	// because it panics on a coordinate that is too long; kindOf judges instead.
	public, err := jwkset.NewJWKFromMarshal(
		jwkset.JWKMarshal{KTY: m.KTY, CRV: m.CRV, X: m.X, Y: m.Y, N: m.N, E: m.E},
		jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{SkipAll: true})
	if err != nil {
		return key{}, false
	}
	kind, ok := kindOf(public.Key(), len(m.E))
	if !ok {
		return key{}, false
	}
	return key{id: m.KID, algorithm: m.ALG.String(), kind: kind, public: public.Key()}, true
}

// meantForSignatures respects what the issuer says that the key is for. A key
// that comes with its private half is nobody's any more.
func meantForSignatures(m *jwkset.JWKMarshal) bool {
	return (m.USE == "" || m.USE == jwkset.UseSig) &&
		(len(m.KEYOPS) == 0 || slices.Contains(m.KEYOPS, jwkset.KeyOpsVerify)) &&
		m.D == ""
}

// kindOf names the kind of a sound public key.
func kindOf(public any, exponentText int) (string, bool) {
	switch k := public.(type) {
	case *rsa.PublicKey:
		bits := k.N.BitLen()
		exponent := exponentText <= maxExponentText && k.E >= minExponent && k.E <= math.MaxInt32 && k.E%2 == 1
		return kindRSA, bits >= minRSABits && bits <= maxRSABits && exponent
	case *ecdsa.PublicKey:
		// The conversion fails for a point that is not on the curve.
		_, err := k.ECDH()
		return k.Curve.Params().Name, err == nil
	case ed25519.PublicKey:
		return kindEd25519, true
	}
	return "", false
}

func (k *key) fits(algorithm string) bool {
	return k.kind == keyKinds[algorithm] && (k.algorithm == "" || k.algorithm == algorithm)
}

// choose returns the keys that a token with this key id and algorithm may be
// signed by: several if the issuer uses an id twice. Without a key id there
// must be exactly one that fits the algorithm.
func choose(keys []key, id, algorithm string) []jwt.VerificationKey {
	var found []jwt.VerificationKey
	for _, k := range keys {
		if k.fits(algorithm) && (id == "" || k.id == id) {
			found = append(found, k.public)
		}
	}
	if id == "" && len(found) > 1 {
		return nil
	}
	return found
}
