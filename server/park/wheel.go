package park

import "time"

// spokes is how many lists the wheel has. At the coarsest tick one turn takes
// longer than the heartbeats of the default configuration, so that a stream is
// met once per beat; whatever is due later stays for another turn.
const spokes = 1024

// wheel holds streams by when they are due, each in one list. Everything costs
// the same however many there are. It is under the lock of its Lot, and counts
// time from the Lot's beginning.
type wheel struct {
	tick  time.Duration
	lists [spokes]*Stream
	// turned is the last tick whose list was looked at.
	turned int64
	size   int
}

// put adds a stream that is due at a time, or takes it to another list.
func (w *wheel) put(s *Stream, due, now time.Duration) {
	w.remove(s)
	if w.size == 0 {
		w.turned = int64(now / w.tick)
	}
	w.size++
	// The tick that begins at that time or after it, and none that has passed.
	s.due = max(int64((due+w.tick-1)/w.tick), w.turned+1)
	list := &w.lists[s.due%spokes]
	s.next, s.link = *list, list
	if s.next != nil {
		s.next.link = &s.next
	}
	*list = s
}

// remove takes a stream off the wheel, if it is there.
func (w *wheel) remove(s *Stream) {
	if s.link == nil {
		return
	}
	*s.link = s.next
	if s.next != nil {
		s.next.link = s.link
	}
	s.next, s.link = nil, nil
	w.size--
}

// turn takes everything off that is due and hands it over.
func (w *wheel) turn(now time.Duration, hand func(*Stream)) {
	upTo := int64(now / w.tick)
	// After a long sleep one look at each list is enough.
	for t := max(w.turned+1, upTo-spokes+1); t <= upTo; t++ {
		for s := w.lists[t%spokes]; s != nil; {
			next := s.next
			if s.due <= upTo {
				w.remove(s)
				hand(s)
			}
			s = next
		}
	}
	w.turned = max(w.turned, upTo)
}

// all returns every stream on the wheel.
func (w *wheel) all() []*Stream {
	streams := make([]*Stream, 0, w.size)
	for _, s := range w.lists {
		for ; s != nil; s = s.next {
			streams = append(streams, s)
		}
	}
	return streams
}
