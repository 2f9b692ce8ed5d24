// Package hook makes signed VerifyHuman webhooks as fast as a benchmark needs
// them: complete HTTP/1.1 requests, each deciding a verification of its own.
//
//	row number ─► body ─► HMAC over it ─► request bytes, in a buffer that is
//	used again
//
// The shape is that of VerifyHuman's webhooks page: the envelope, its six
// headers and "sha256=" before the digits. It must not import the adapter: it
// plays the provider.
package hook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strconv"
	"time"

	"github.com/verigate/verigate/bench/rig"
)

// Maker makes requests. It belongs to one goroutine.
type Maker struct {
	head   []byte
	mac    hash.Hash
	body   []byte
	out    []byte
	digest []byte
	hex    []byte
	// product is that of the verifications, and names has what begins each kind of
	// name.
	product string
	names   map[string]string
}

// NewMaker returns a Maker of webhooks about the verifications of a set, sent to
// the given host:port.
func NewMaker(set rig.Set, address, secret string) *Maker {
	head := "POST /webhooks/" + set.Connection + " HTTP/1.1\r\nHost: " + address +
		"\r\nUser-Agent: VerifyHuman-Webhooks/1.0\r\nContent-Type: application/json" +
		"\r\nX-VerifyHuman-Event: verification.completed\r\nX-VerifyHuman-Environment: " + rig.Environment
	return &Maker{
		head: []byte(head), product: set.Product, mac: hmac.New(sha256.New, []byte(secret)),
		hex: make([]byte, hex.EncodedLen(sha256.Size)),
		names: map[string]string{
			rig.KindEvent: set.NamePrefix(rig.KindEvent), rig.KindVerification: set.NamePrefix(rig.KindVerification),
			rig.KindToken: set.NamePrefix(rig.KindToken),
		},
	}
}

// Body returns the body of the webhook that decides verification n. It is good
// until the next call.
func (m *Maker) Body(n int64, now time.Time) []byte {
	b := m.body[:0]
	b = append(b, `{"id":"`...)
	b = m.name(b, rig.KindEvent, n)
	b = append(b, `","type":"verification.completed","created":"`...)
	b = now.UTC().AppendFormat(b, time.RFC3339)
	b = append(b, `","environment":"`+rig.Environment+`","data":{"verification_id":"`...)
	b = m.name(b, rig.KindVerification, n)
	b = append(b, `","product":"`...)
	b = append(b, m.product...)
	b = append(b, `","status":"PASS","confidence":0.982,"token":"`...)
	b = m.name(b, rig.KindToken, n)
	b = append(b, `"}}`...)
	m.body = b
	return b
}

// Request returns the whole request. It is good until the next call.
func (m *Maker) Request(n int64, now time.Time) []byte {
	body := m.Body(n, now)
	out := m.out[:0]
	out = append(out, m.head...)
	out = append(out, "\r\nX-VerifyHuman-Event-Id: "...)
	out = m.name(out, rig.KindEvent, n)
	out = append(out, "\r\nX-VerifyHuman-Delivery-Id: d"...)
	out = strconv.AppendInt(out, n, 10)
	out = append(out, "\r\nX-VerifyHuman-Timestamp: "...)
	out = strconv.AppendInt(out, now.Unix(), 10)
	out = append(out, "\r\nX-VerifyHuman-Signature: sha256="...)
	out = append(out, m.sign(body)...)
	out = append(out, "\r\nContent-Length: "...)
	out = strconv.AppendInt(out, int64(len(body)), 10)
	out = append(out, "\r\n\r\n"...)
	out = append(out, body...)
	m.out = out
	return out
}

func (m *Maker) sign(body []byte) []byte {
	m.mac.Reset()
	m.mac.Write(body)
	m.digest = m.mac.Sum(m.digest[:0])
	hex.Encode(m.hex, m.digest)
	return m.hex
}

// name appends rig.Set.Name without garbage.
func (m *Maker) name(b []byte, kind string, n int64) []byte {
	const digits = 15
	b = append(b, m.names[kind]...)
	start := len(b)
	b = append(b, "000000000000000"...)
	for at := start + digits - 1; n > 0 && at >= start; at-- {
		b[at] = "0123456789abcdef"[n&0xf]
		n >>= 4
	}
	return b
}
