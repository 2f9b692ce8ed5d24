package rpc

import (
	"maps"
	"slices"

	"github.com/verigate/verigate/server/verification"
)

// ToConnect is toConnect.
func ToConnect(err error) error { return toConnect(err) }

// Kinds returns every kind that has a code.
func Kinds() []verification.Kind { return slices.Collect(maps.Keys(codes)) }

// PageToken and ParsePageToken are the functions of the same name.
var (
	PageToken      = pageToken
	ParsePageToken = parsePageToken
)

// CursorText and ParseCursor are the functions of the same name.
var (
	CursorText  = cursorText
	ParseCursor = parseCursor
)

// ListFilters is listFilters.
var ListFilters = listFilters

// Permitted returns every procedure that somebody may call.
func Permitted() []string { return slices.Collect(maps.Keys(permissions)) }

// Permits is permits.
var Permits = permits
