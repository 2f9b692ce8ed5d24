package fault

import (
	"encoding/binary"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
)

const (
	// prefixSize is the length of the prefix of an envelope: one byte of flags and
	// four of length (Connect protocol, "Streaming RPCs"; gRPC over HTTP/2,
	// "Length-Prefixed-Message").
	prefixSize = 5
	// flagConnectEnd marks the end-of-stream message of the Connect protocol.
	flagConnectEnd = 0x02
	// flagWebTrailers marks the trailers in a body of gRPC-Web.
	flagWebTrailers = 0x80
	// maxEnvelope bounds what is held in memory of one message.
	maxEnvelope = 16 << 20
	// chunkSize is how much of an unframed body is passed on at a time.
	chunkSize = 32 << 10
)

// framing is how a body's content type puts messages into it.
type framing int

const (
	unframed framing = iota
	connectFraming
	grpcFraming
	webFraming
)

func framingOf(contentType string) framing {
	media, _, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil:
		return unframed
	case strings.HasPrefix(media, "application/connect+"):
		return connectFraming
	case media == "application/grpc-web" || strings.HasPrefix(media, "application/grpc-web+"):
		return webFraming
	case media == "application/grpc" || strings.HasPrefix(media, "application/grpc+"):
		return grpcFraming
	default:
		return unframed
	}
}

// isMessage tells a message's envelope from one that ends the stream.
func isMessage(prefix byte) bool { return prefix&(flagConnectEnd|flagWebTrailers) == 0 }

// envelope puts a prefix before a payload.
func envelope(flags byte, payload []byte) []byte {
	framed := make([]byte, prefixSize, prefixSize+len(payload))
	framed[0] = flags
	binary.BigEndian.PutUint32(framed[1:], uint32(len(payload)))
	return append(framed, payload...)
}

// next reads the next part of a body: a whole envelope where it is framed, else
// what is there. At the end it returns io.EOF.
func (f framing) next(body io.Reader) ([]byte, error) {
	if f == unframed {
		chunk := make([]byte, chunkSize)
		n, err := body.Read(chunk)
		if n > 0 {
			return chunk[:n], nil
		}
		return nil, err
	}
	prefix := make([]byte, prefixSize)
	if _, err := io.ReadFull(body, prefix); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(prefix[1:])
	if length > maxEnvelope {
		return nil, fmt.Errorf("fault: a message of %d bytes; at most %d are passed on", length, maxEnvelope)
	}
	whole := make([]byte, prefixSize+int(length))
	copy(whole, prefix)
	_, err := io.ReadFull(body, whole[prefixSize:])
	return whole, err
}

// writeEnd writes the end of a successful stream.
func (f framing) writeEnd(w http.ResponseWriter) error {
	var err error
	switch f {
	case connectFraming:
		_, err = w.Write(envelope(flagConnectEnd, []byte("{}")))
	case webFraming:
		_, err = w.Write(envelope(flagWebTrailers, []byte("grpc-status: 0\r\n")))
	case grpcFraming:
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
	case unframed:
	}
	return err
}
