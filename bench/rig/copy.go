package rig

import (
	"encoding/binary"
	"io"
	"time"

	"github.com/google/uuid"
)

// copied writes rows as COPY reads them in its binary format (Postgres manual,
// COPY, section "Binary Format"). As an io.Reader it is all rows from the first to
// the last, made while they are read.
type copied struct {
	// fields is how many columns a row has, and write adds those of row n.
	fields int16
	write  func(c *copied, n int64)
	// next is the next row, and end the one after the last.
	next, end int64

	buffer []byte
	// read is how much of buffer was read.
	read int
	over bool
}

// copyHeader comes before the rows: no flags, no extension.
const copyHeader = "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// copyRows returns the rows from..until-1.
func copyRows(fields int16, from, until int64, write func(c *copied, n int64)) *copied {
	return &copied{fields: fields, write: write, next: from, end: until, buffer: []byte(copyHeader)}
}

// Read implements io.Reader.
func (c *copied) Read(p []byte) (int, error) {
	if c.read == len(c.buffer) {
		c.buffer, c.read = c.buffer[:0], 0
		c.fill(len(p))
	}
	if len(c.buffer) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.buffer[c.read:])
	c.read += n
	return n, nil
}

// fill makes rows until there are enough bytes, and the end after the last.
func (c *copied) fill(enough int) {
	for len(c.buffer) < enough && c.next < c.end {
		c.buffer = binary.BigEndian.AppendUint16(c.buffer, uint16(c.fields))
		c.write(c, c.next)
		c.next++
	}
	if c.next == c.end && !c.over {
		c.over = true
		c.buffer = append(c.buffer, 0xff, 0xff)
	}
}

func (c *copied) size(n int) { c.buffer = binary.BigEndian.AppendUint32(c.buffer, uint32(n)) }

// text adds a column of several parts.
func (c *copied) text(parts ...string) {
	n := 0
	for _, part := range parts {
		n += len(part)
	}
	c.size(n)
	for _, part := range parts {
		c.buffer = append(c.buffer, part...)
	}
}

func (c *copied) bytes(b []byte) {
	c.size(len(b))
	c.buffer = append(c.buffer, b...)
}

func (c *copied) uuid(id uuid.UUID) { c.bytes(id[:]) }

func (c *copied) bigint(n int64) {
	const size = 8
	c.size(size)
	c.buffer = binary.BigEndian.AppendUint64(c.buffer, uint64(n))
}

// time adds microseconds since 2000, as Postgres counts them.
func (c *copied) time(at time.Time) {
	c.bigint(at.Sub(time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)).Microseconds())
}

// json adds a column of jsonb, in the only version of its format.
func (c *copied) json(document string) { c.text("\x01", document) }

func (c *copied) null() { c.buffer = append(c.buffer, 0xff, 0xff, 0xff, 0xff) }
