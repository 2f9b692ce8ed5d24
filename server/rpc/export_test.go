package rpc

import "github.com/verigate/verigate/server/verification"

// ToConnect is toConnect.
func ToConnect(err error) error { return toConnect(err) }

// Kinds returns every kind that has a code.
func Kinds() []verification.Kind {
	kinds := make([]verification.Kind, 0, len(codes))
	for kind := range codes {
		kinds = append(kinds, kind)
	}
	return kinds
}

// PageToken and ParsePageToken are the functions of the same name.
var (
	PageToken      = pageToken
	ParsePageToken = parsePageToken
)
