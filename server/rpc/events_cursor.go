package rpc

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"strconv"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/verification"
)

// nowCursor is what a caller writes to begin with what happens from now on.
const nowCursor = "now"

var errCursor = verification.Invalid("after_cursor",
	"is no cursor of this key's project and environment; send one that StreamEvents or ListEvents returned for them, "+
		"`now`, or nothing to begin with the oldest event that is kept")

// after finds out where a request begins.
func (e *Events) after(ctx context.Context, scope verification.Scope, text string) (verification.EventCursor, error) {
	if text == nowCursor {
		return e.Reader.LatestEvent(ctx, scope)
	}
	return parseCursor(text, scope)
}

// cursorText says a cursor: the event's verification and version, and a checksum
// over both and the scope, so that one that was changed, or is of another scope,
// is told at once. It is no secret: every read is within its caller's own scope.
func cursorText(c verification.EventCursor, scope verification.Scope) string {
	if c == (verification.EventCursor{}) {
		return ""
	}
	place := binary.AppendUvarint(bytes.Clone(c.VerificationID[:]), uint64(c.Version))
	return base64.RawURLEncoding.EncodeToString(append(place, cursorChecksum(place, scope)...))
}

func parseCursor(text string, scope verification.Scope) (verification.EventCursor, error) {
	if text == "" {
		return verification.EventCursor{}, nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) <= len(uuid.Nil)+checksumBytes {
		return verification.EventCursor{}, errCursor
	}
	place, sum := raw[:len(raw)-checksumBytes], raw[len(raw)-checksumBytes:]
	if subtle.ConstantTimeCompare(sum, cursorChecksum(place, scope)) != 1 {
		return verification.EventCursor{}, errCursor
	}
	version, size := binary.Uvarint(place[len(uuid.Nil):])
	c := verification.EventCursor{VerificationID: uuid.UUID(place[:len(uuid.Nil)]), Version: int64(version)}
	if size <= 0 || len(uuid.Nil)+size != len(place) || c.Version < 1 {
		return verification.EventCursor{}, errCursor
	}
	return c, nil
}

// cursorChecksum keeps cursors apart from every other token, and two scopes from
// each other whatever their texts contain.
func cursorChecksum(place []byte, scope verification.Scope) []byte {
	content := "event cursor/" + strconv.Quote(scope.Project) + "/" + strconv.Quote(string(scope.Environment)) + "/"
	sum := sha256.Sum256(append([]byte(content), place...))
	return sum[:checksumBytes]
}
