package rpc

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/verification"
)

// A page token is the last id of the page before and a checksum over it and the
// filters, so that a changed token, or one of another list, is told at once. It
// is no secret: a caller only ever pages through its own scope.
const checksumBytes = 8

var errPageToken = verification.Invalid("page_token",
	"is not a token of this list; repeat the request with the same filters, or leave it empty for the first page")

// pageToken makes the token of the page after last. filters is the request
// without its page size and token: they may change between pages.
func pageToken(last uuid.UUID, filters proto.Message) (string, error) {
	sum, err := checksum(last, filters)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(append(last[:], sum...)), nil
}

func parsePageToken(token string, filters proto.Message) (uuid.UUID, error) {
	if token == "" {
		return uuid.Nil, nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) != len(uuid.Nil)+checksumBytes {
		return uuid.Nil, errPageToken
	}
	last := uuid.UUID(raw[:len(uuid.Nil)])
	sum, err := checksum(last, filters)
	if err != nil {
		return uuid.Nil, err
	}
	if subtle.ConstantTimeCompare(sum, raw[len(uuid.Nil):]) != 1 {
		return uuid.Nil, errPageToken
	}
	return last, nil
}

func checksum(last uuid.UUID, filters proto.Message) ([]byte, error) {
	content, err := proto.MarshalOptions{Deterministic: true}.Marshal(filters)
	if err != nil {
		return nil, err
	}
	// The message's name keeps the tokens of two lists apart.
	content = append(content, filters.ProtoReflect().Descriptor().FullName()...)
	sum := sha256.Sum256(append(content, last[:]...))
	return sum[:checksumBytes], nil
}

// listFilters is what a list request selects.
func listFilters(r *verigatev1.ListVerificationsRequest) proto.Message {
	return &verigatev1.ListVerificationsRequest{
		States: r.GetStates(), Flow: r.GetFlow(), Subject: r.GetSubject(),
		CreateTimeFrom: r.GetCreateTimeFrom(), CreateTimeUntil: r.GetCreateTimeUntil(),
	}
}

// pageSize is how many a page has when the caller does not say.
func pageSize(asked int32) int {
	if asked == 0 {
		return defaultPageSize
	}
	return int(asked)
}
