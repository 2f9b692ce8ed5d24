package rig

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"time"
)

// day is the unit of the times that a verification has.
const day = 24 * time.Hour

// digits are the last 15 of a row's id and the end of all its names.
func digits(n int64) string {
	var digits [16]byte
	hex.Encode(digits[:], binary.BigEndian.AppendUint64(nil, uint64(n)))
	return string(digits[1:])
}

// evenly is the hash of something of row n. With the rows the hashes ascend, evenly
// over all that there are: sorting what is sorted costs a fraction, and new ones
// fall anywhere among them, as they do among real ones.
func (b Bulk) evenly(kind string, n int64) []byte {
	hash := sha256.Sum256([]byte(kind + digits(n)))
	binary.BigEndian.PutUint64(hash[:], uint64(n)*(math.MaxUint64/uint64(b.Rows)))
	return hash[:]
}

func (b Bulk) verification() fill {
	s, at := b.Set, b.Set.Time
	state, version, match := "pending", int64(2), ""
	if b.Decided {
		state, version, match = "approved", 3, "exact"
	}
	subject, reference, token := s.NamePrefix(SubjectPrefix), s.NamePrefix(ReferencePrefix), s.NamePrefix(KindToken)
	return fill{
		table: "verification",
		columns: []string{
			"id", "project", "environment", "flow", "connection", "product", "subject", "reference", "metadata", "state", "version",
			"match", "hosted_url", "redirect_url", "nonce_hash", "create_time", "update_time", "expire_time", "grace_until",
			"page_until", "bind_time", "final_time",
		},
		row: func(c *copied, n int64) {
			own := digits(n)
			c.uuid(s.ID(n))
			for _, text := range []string{s.Project, Environment, s.Flow, s.Connection, s.Product} {
				c.text(text)
			}
			c.text(subject, own)
			c.text(reference, own)
			c.json(`{"channel": "app"}`)
			c.text(state)
			c.bigint(version)
			c.text(match)
			c.text("https://provider.invalid/hosted/", token, own)
			c.text("https://app.invalid/verified")
			c.bytes(b.evenly("nonce", n))
			for _, time := range []time.Time{at, at, at.Add(30 * day), at.Add(31 * day), at.Add(30 * day)} {
				c.time(time)
			}
			if b.Decided {
				c.time(at)
				c.time(at)
			} else {
				c.null()
				c.null()
			}
		},
	}
}

// lookup is what a trigger would have written of the rows of verification.
func (b Bulk) lookup() fill {
	s := b.Set
	subject, reference := s.NamePrefix(SubjectPrefix), s.NamePrefix(ReferencePrefix)
	return fill{
		table:   "verification_lookup",
		columns: []string{"project", "environment", "id", "flow", "subject", "reference", "nonce_hash"},
		row: func(c *copied, n int64) {
			own := digits(n)
			c.text(s.Project)
			c.text(Environment)
			c.uuid(s.ID(n))
			c.text(s.Flow)
			c.text(subject, own)
			c.text(reference, own)
			c.bytes(b.evenly("nonce", n))
		},
	}
}

// others are the tables that grow beside verification. Positions follow the last
// one that was given.
func (b Bulk) others(position int64) []fill {
	s, at := b.Set, b.Set.Time
	refs := fill{
		table:   "provider_ref",
		columns: []string{"connection", "ref", "verification_id", "match", "create_time"},
		row: func(c *copied, n int64) {
			c.text(s.Connection)
			c.text("token:", hex.EncodeToString(b.token(n)))
			c.uuid(s.ID(n))
			c.text("exact")
			c.time(at)
		},
	}
	if !b.Decided {
		return []fill{refs}
	}
	return []fill{{
		table: "transition",
		columns: []string{
			"verification_id", "version", "project", "environment", "from_state", "to_state", "event", "source", "rung", "match", "create_time",
		},
		row: func(c *copied, n int64) {
			c.uuid(s.ID(n))
			c.bigint(3)
			for _, text := range []string{s.Project, Environment, "pending", "approved", "passed", "provider", "payload_key", "exact"} {
				c.text(text)
			}
			c.time(at)
		},
	}, {
		table: "event_position",
		columns: []string{
			"verification_id", "version", "project", "environment", "position", "create_time",
		},
		row: func(c *copied, n int64) {
			c.uuid(s.ID(n))
			c.bigint(3)
			c.text(s.Project)
			c.text(Environment)
			c.bigint(position + n + 1)
			c.time(at)
		},
	}, refs, b.seen(KindEvent, 1)}
}

// seen marks the deliveries of each so many rows. Those of one kind are others than
// those of another, and lie beside them.
func (b Bulk) seen(kind string, apart int64) fill {
	return fill{
		table:   "seen",
		columns: []string{"connection", "dedupe_key", "delivery_id", "create_time"},
		row: func(c *copied, n int64) {
			c.text(b.Set.Connection)
			c.text(hex.EncodeToString(b.evenly(kind, n*apart)))
			c.uuid(b.Set.ID(n * apart))
			c.time(b.Set.Time)
		},
	}
}

// token is the hash of the token by which webhooks name row n. Nobody names one
// that is decided.
func (b Bulk) token(n int64) []byte {
	if b.Decided {
		return b.evenly(KindToken, n)
	}
	hash := sha256.Sum256([]byte(b.Set.Name(KindToken, n)))
	return hash[:]
}
