package webhook

import (
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/verigate/verigate/server/transport"
)

// Bodies above largeBody are rare. maxLarge of them are in hand at a time, and
// maxLargeEach from one address, so that nobody fills the memory before being
// known, nor keeps others from sending theirs.
const (
	largeBody    = 64 << 10
	maxLarge     = 64
	maxLargeEach = 8
)

// largeBodies counts the large bodies in hand, in all and by address.
type largeBodies struct {
	mu    sync.Mutex
	total int
	from  map[string]int
}

// take makes room for one more; false if there is none.
func (l *largeBodies) take(bucket string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total >= maxLarge || l.from[bucket] >= maxLargeEach {
		return false
	}
	if l.from == nil {
		l.from = make(map[string]int)
	}
	l.total++
	l.from[bucket]++
	return true
}

func (l *largeBodies) giveBack(bucket string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.from[bucket]--; l.from[bucket] == 0 {
		delete(l.from, bucket)
	}
}

// readBody reads the capped body. A non-zero status says why it could not. done is
// to be called when the body is needed no more.
func (h *Handler) readBody(w http.ResponseWriter, r *http.Request) (body []byte, done func(), status int) {
	done = func() {}
	capped := http.MaxBytesReader(w, r.Body, MaxBody)
	body, err := io.ReadAll(io.LimitReader(capped, largeBody))
	if err == nil && len(body) == largeBody {
		bucket := transport.Bucket(transport.Address(r.Context()))
		if !h.large.take(bucket) {
			return nil, done, http.StatusServiceUnavailable
		}
		done = func() { h.large.giveBack(bucket) }
		var rest []byte
		rest, err = io.ReadAll(capped)
		body = append(body, rest...)
	}
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, done, http.StatusRequestEntityTooLarge
	}
	if err != nil {
		return nil, done, http.StatusRequestTimeout
	}
	return body, done, 0
}
