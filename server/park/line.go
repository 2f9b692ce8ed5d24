package park

import (
	"container/list"
	"context"
	"encoding/binary"
	"net/http"
	"net/url"
	"strings"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
)

// Prefix is how many bytes come before a message on the line.
const Prefix = 5

// Frame fills in the first Prefix bytes of a buffer whose rest is an encoded
// message. The frame is the same in Connect, gRPC and gRPC-Web: a byte of flags,
// of which none is set, and the length, big-endian (Connect protocol, streaming
// RPCs; gRPC over HTTP2, Length-Prefixed-Message).
func Frame(buffer []byte) {
	buffer[0] = 0
	binary.BigEndian.PutUint32(buffer[1:Prefix], uint32(len(buffer)-Prefix))
}

// Parked reports whether messages are written with Send.
func (s *Stream) Parked() bool { return s.out != nil }

// Send writes one message in its frame to the line of a parked stream. It returns
// when the message has left, or after Timing.Write.
func (s *Stream) Send(framed []byte) error {
	leaving := s.leave()
	defer s.lot.sends.end(leaving)
	if _, err := s.out.Write(framed); err != nil {
		return err
	}
	return http.NewResponseController(s.out).Flush()
}

// leave bounds what is written, until it ends.
func (s *Stream) leave() *list.Element { return s.lot.sends.begin(s, s.lot.now()+s.lot.timing.Write) }

// endProcedure is where the ender is asked for an end. It is never on the line.
const endProcedure = "/park/End"

type endKey struct{}

// newEnder returns what writes the ends of parked streams: connect itself, around
// a procedure that has sent its headers and returns the error of its context.
func newEnder() http.Handler {
	server := connect.NewServer()
	server.Register(connect.Method{
		Spec: connect.Spec{Procedure: endProcedure, StreamType: connect.StreamTypeServer},
		Handler: func(ctx context.Context, _ connect.Spec, stream connect.ServerStream) error {
			// Otherwise gRPC-Web says the end in headers, which have been sent.
			if err := stream.SendHeaders(); err != nil {
				return err
			}
			err, _ := ctx.Value(endKey{}).(error)
			return err
		},
	})
	mux := http.NewServeMux()
	connecthttp.Mount(mux, server, connecthttp.WithCompressors())
	return mux
}

// writeEnd has connect write how the stream ended, in the protocol that the
// stream began with.
func (s *Stream) writeEnd(err error) {
	leaving := s.leave()
	defer s.lot.sends.end(leaving)
	ctx := s.request.Context()
	if err != nil {
		ctx = context.WithValue(ctx, endKey{}, err)
	}
	request := (&http.Request{
		Method: http.MethodPost, URL: &url.URL{Path: endProcedure}, RequestURI: endProcedure, Body: http.NoBody,
		Proto: "HTTP/2.0", ProtoMajor: 2, Header: http.Header{contentType: {s.contentType}},
	}).WithContext(ctx)
	w := &endWriter{out: s.out, header: make(http.Header)}
	s.lot.ender.ServeHTTP(w, request)
	copyTrailers(s.out.Header(), w.header)
	_ = http.NewResponseController(s.out).Flush()
}

// endWriter writes what comes after the headers, which were sent long ago.
type endWriter struct {
	out    http.ResponseWriter
	header http.Header
}

// Header implements http.ResponseWriter. Only its trailers are sent.
func (w *endWriter) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter: the status was sent.
func (*endWriter) WriteHeader(int) {}

// Write implements http.ResponseWriter.
func (w *endWriter) Write(p []byte) (int, error) { return w.out.Write(p) }

// Flush implements http.Flusher, without which connect takes no stream.
func (*endWriter) Flush() {}

// copyTrailers adds what net/http sends after the body.
func copyTrailers(to, from http.Header) {
	for name, values := range from {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			to[name] = values
		}
	}
}
