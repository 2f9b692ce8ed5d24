package fault

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
)

// part is one piece of the gateway's answer, in this order: one with head, any
// number with data, one with end; err can take the place of any.
type part struct {
	head    *http.Response
	data    []byte
	message bool
	end     bool
	err     error
}

// pump calls the gateway and reads its answer, until it ends or ctx does. It
// closes parts when it is done.
func (p *Proxy) pump(ctx context.Context, r *http.Request, request []byte, parts chan<- part) {
	defer close(parts)
	send := func(one part) bool {
		select {
		case parts <- one:
			return true
		case <-ctx.Done():
			return false
		}
	}
	answer, err := p.call(ctx, r, request)
	if err != nil {
		send(part{err: err})
		return
	}
	defer func() { _ = answer.Body.Close() }()
	if !send(part{head: answer}) {
		return
	}
	frames := framingOf(answer.Header.Get("Content-Type"))
	for {
		data, err := frames.next(answer.Body)
		switch {
		case errors.Is(err, io.EOF):
			send(part{end: true})
			return
		case err != nil:
			send(part{err: err})
			return
		}
		if !send(part{data: data, message: frames != unframed && isMessage(data[0])}) {
			return
		}
	}
}

// call sends the request on, over HTTP/2 when it came that way.
func (p *Proxy) call(ctx context.Context, r *http.Request, request []byte) (*http.Response, error) {
	out := r.Clone(ctx)
	out.RequestURI = "" // it belongs to servers
	out.URL.Scheme, out.URL.Host = p.upstream.Scheme, p.upstream.Host
	out.Header = http.Header{}
	copyHeader(out.Header, r.Header)
	if r.Header.Get("Te") == "trailers" {
		out.Header.Set("Te", "trailers") // gRPC insists on it
	}
	out.ContentLength, out.TransferEncoding = int64(len(request)), nil
	out.Body = io.NopCloser(bytes.NewReader(request))
	out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(request)), nil }
	if r.ProtoMajor > 1 {
		return p.http2.RoundTrip(out)
	}
	return p.http1.RoundTrip(out)
}

// copyHeader copies all fields but those that belong to one connection (RFC
// 9110, section 7.6.1), and the length: a broken answer has another one.
func copyHeader(to, from http.Header) {
	local := map[string]bool{
		"Connection": true, "Keep-Alive": true, "Proxy-Connection": true, "Te": true, "Trailer": true,
		"Transfer-Encoding": true, "Upgrade": true, "Content-Length": true,
	}
	for name, values := range from {
		if !local[name] && !strings.HasPrefix(name, http.TrailerPrefix) {
			to[name] = values
		}
	}
}
