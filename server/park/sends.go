package park

import (
	"container/list"
	"net/http"
	"sync"
	"time"
)

// sends are the messages that are leaving, the oldest first. All have the same
// time to leave, so one list says which are late, and the wheel looks at it: a
// deadline in net/http for each would cost more than the message.
type sends struct {
	mu      sync.Mutex
	leaving list.List
}

// send is one of them.
type send struct {
	stream *Stream
	// until is when it is late.
	until time.Duration
}

func (s *sends) begin(stream *Stream, until time.Duration) *list.Element {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leaving.PushBack(send{stream, until})
}

func (s *sends) end(e *list.Element) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaving.Remove(e)
}

// cutLate breaks off what has been leaving for too long. It holds the lock that
// end takes, so that the writer is there as long as somebody reaches for it: when a
// message has left, its handler may return.
func (s *sends) cutLate(now time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for e := s.leaving.Front(); e != nil; e = s.leaving.Front() {
		oldest, _ := e.Value.(send)
		if oldest.until > now {
			break
		}
		s.leaving.Remove(e)
		oldest.stream.cut()
	}
}

// cut breaks a message off that does not leave, and the stream with it: a
// deadline that has passed resets an HTTP/2 stream, and fails what is written on
// HTTP/1.1.
func (s *Stream) cut() {
	_ = http.NewResponseController(s.out).SetWriteDeadline(time.Now().Add(-time.Second))
}
