package rig

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Names say as what the generated rows appear in a gateway's configuration.
type Names struct {
	Project, Connection, Flow, Product string
}

// OwnNames are those in the configuration of a gateway that the benchmark starts.
func OwnNames() Names {
	return Names{Project: "bench", Connection: "bench-verifyhuman", Flow: "identity", Product: "verifyidentity"}
}

// Environment is the only one that the benchmark ever writes to.
const Environment = "test"

// Set is one run of generated rows. The rows of a set are numbered from 0, and
// everything about a row follows from its number, so that the database and the
// clients make the same ids without telling each other.
//
//	id = UUIDv7: the set's time in milliseconds · 7 · the set's number · 8 · n
type Set struct {
	Names

	// Number tells sets apart: 0 to 4095.
	Number int
	// Time is when the rows of the set were made; their ids sort by it.
	Time time.Time
}

// The version and the variant of a UUIDv7, at their places in its two halves (RFC
// 9562, section 5.7).
const (
	version7 = 7 << 12
	variant  = 8 << 60
)

// ID returns the id of row n; uuid.Nil for a set whose number or time has no place
// in one.
func (s Set) ID(n int64) (id uuid.UUID) {
	const half, afterTime, mostNumber = 8, 16, 0xfff
	if s.Number < 0 || s.Number > mostNumber || s.Time.UnixMilli() < 0 {
		return uuid.Nil
	}
	binary.BigEndian.PutUint64(id[:half], uint64(s.Time.UnixMilli())<<afterTime|version7|uint64(s.Number))
	binary.BigEndian.PutUint64(id[half:], variant|uint64(n))
	return id
}

// prefix is the first 17 of the 32 hex digits of an id.
func (s Set) prefix() string { return fmt.Sprintf("%012x7%03x8", s.Time.UnixMilli(), s.Number) }

// IDSQL returns an SQL expression for the id of the row whose number is the
// given bigint expression.
func (s Set) IDSQL(n string) string {
	return "('" + s.prefix() + "' || lpad(to_hex(" + n + "), 15, '0'))::uuid"
}

// Name returns a text that belongs to row n alone, in this run and any other:
// such as a token of its provider's. It ends in the digits of the row's id.
func (s Set) Name(kind string, n int64) string {
	return s.NamePrefix(kind) + fmt.Sprintf("%015x", n)
}

// NamePrefix is what Name puts before the 15 hexadecimal digits of the row.
func (s Set) NamePrefix(kind string) string { return kind + "_" + s.prefix() }

// NameSQL is Name in SQL.
func (s Set) NameSQL(kind, n string) string {
	return "('" + s.NamePrefix(kind) + "' || lpad(to_hex(" + n + "), 15, '0'))"
}

// nonceSQL is a nonce's hash that nobody can guess.
const nonceSQL = "sha256(uuid_send(gen_random_uuid()))"
