package park

import (
	"context"
	"net/http"
	"time"
)

// Handler is middleware around all other: it parks the streams of one path. What
// lies within sees the request as it is, on another goroutine, and a writer that
// does what net/http's does. A stream that is not parked is none of its business.
func Handler(next http.Handler, path string) http.Handler {
	return &handler{next: next, path: path}
}

type handler struct {
	next http.Handler
	path string
}

// ServeHTTP implements http.Handler. For as long as a stream is parked, this and
// what calls it is all that its goroutine has on its stack.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != h.path {
		h.next.ServeHTTP(w, r)
		return
	}
	if s := h.admit(w, r); s != nil {
		s.wait(r.Context().Done())
	}
}

// admit serves the request, and returns the stream if it parked one.
func (h *handler) admit(w http.ResponseWriter, r *http.Request) *Stream {
	at := &spot{request: r, out: &writer{out: w, header: make(http.Header)}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { at.panicked = recover() }()
		h.next.ServeHTTP(at.out, r.WithContext(context.WithValue(r.Context(), spotKey{}, at)))
		at.out.finish()
		if at.stream != nil {
			at.stream.restore = slim(w)
			at.stream.begin()
		}
	}()
	<-done
	if at.panicked != nil {
		// What is meant for net/http gets there, http.ErrAbortHandler above all.
		panic(at.panicked)
	}
	if at.stream != nil {
		forget(r)
	}
	return at.stream
}

// forget drops what net/http would keep of the request and not need: the stream
// may last for long. The body was read to its end.
func forget(r *http.Request) {
	r.URL, r.Header, r.Body, r.Trailer, r.GetBody = nil, nil, nil, nil, nil
	r.Host, r.RequestURI, r.RemoteAddr, r.Pattern = "", "", "", ""
}

// spot is where one call may park its stream.
type spot struct {
	request  *http.Request
	out      *writer
	stream   *Stream
	panicked any
}

type spotKey struct{}

func spotOf(ctx context.Context) *spot {
	at, _ := ctx.Value(spotKey{}).(*spot)
	return at
}

// park takes the spot of a call, if there is one.
func (s *Stream) park(ctx context.Context) bool {
	at := spotOf(ctx)
	if at == nil || at.stream != nil {
		return false
	}
	s.rhythm = rhythmOf(at.request.RemoteAddr)
	s.request, s.out, s.contentType = at.request, at.out.park(), at.out.header.Get(contentType)
	if deadline, ok := ctx.Deadline(); ok {
		s.expires = max(s.lot.now()+time.Until(deadline), 1)
	}
	at.stream = s
	return true
}

// Later has tell told how the stream ends that the call has parked, and returns
// true; false if it has not parked any. Whoever asks first is told first, and
// hands on what tell returns. Nothing of the call's context should be kept.
func Later(ctx context.Context, tell func(err error) error) bool {
	at := spotOf(ctx)
	if at == nil || at.stream == nil {
		return false
	}
	at.stream.finish = append(at.stream.finish, tell)
	return true
}
