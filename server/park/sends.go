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

// late takes the streams off whose reader took too long.
func (s *sends) late(now time.Duration) []*Stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	var streams []*Stream
	for e := s.leaving.Front(); e != nil; e = s.leaving.Front() {
		oldest, _ := e.Value.(send)
		if oldest.until > now {
			break
		}
		s.leaving.Remove(e)
		streams = append(streams, oldest.stream)
	}
	return streams
}

// cut breaks a message off that does not leave, and the stream with it: a
// deadline that has passed resets an HTTP/2 stream, and fails what is written on
// HTTP/1.1.
func (s *Stream) cut() {
	_ = http.NewResponseController(s.out).SetWriteDeadline(time.Now().Add(-time.Second))
}
