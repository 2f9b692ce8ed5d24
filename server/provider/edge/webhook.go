package edge

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"

	"github.com/verigate/verigate/server/provider"
)

// Unauthentic is provider.ErrUnauthentic with a reason for the operator. The
// reason must repeat no secret, no expected signature and nothing of the body.
// An error among args that stands for %w stays in the chain.
func Unauthentic(reason string, args ...any) error {
	return fmt.Errorf("%w: %w", provider.ErrUnauthentic, fmt.Errorf(reason, args...))
}

// OnlyHeader returns the value of a header that may be there once, and whether
// it is. There twice it is unauthentic: nobody can say which one was meant.
func OnlyHeader(header http.Header, name string) (string, bool, error) {
	switch values := header.Values(name); len(values) {
	case 0:
		return "", false, nil
	case 1:
		return values[0], true, nil
	}
	return "", false, Unauthentic("header %s is there more than once", name)
}

// HeaderMAC returns the HMAC-SHA256 that the one header of this name carries: the
// prefix, then hex digits in either case. All else is unauthentic.
func HeaderMAC(header http.Header, name, prefix string) ([]byte, error) {
	value, there, err := OnlyHeader(header, name)
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, Unauthentic("header %s is missing", name)
	}
	digits, ok := strings.CutPrefix(value, prefix)
	if !ok {
		return nil, Unauthentic("header %s does not begin with %s", name, prefix)
	}
	mac, err := hex.DecodeString(digits)
	if err != nil || len(mac) != sha256.Size {
		return nil, Unauthentic("header %s does not hold %d hex digits", name, hex.EncodedLen(sha256.Size))
	}
	return mac, nil
}

// BodyKey is a dedupe key for a webhook that carries no id of its own: its body
// is the same for every attempt, so the key is a hash of it.
func BodyKey(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha256:" + hex.EncodeToString(sum[:])
}
