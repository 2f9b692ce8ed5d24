package sandbox

// shelf is a map of bounded size that forgets its oldest entry to make room.
// It has no lock of its own.
type shelf[V any] struct {
	limit int
	items map[string]V
	order []string
}

func newShelf[V any](limit int) *shelf[V] {
	return &shelf[V]{limit: limit, items: make(map[string]V)}
}

func (s *shelf[V]) get(key string) (V, bool) {
	v, ok := s.items[key]
	return v, ok
}

// put adds or replaces an entry; replacing does not make it younger.
func (s *shelf[V]) put(key string, value V) {
	if _, known := s.items[key]; !known {
		if len(s.order) == s.limit {
			delete(s.items, s.order[0])
			s.order = s.order[1:]
		}
		s.order = append(s.order, key)
	}
	s.items[key] = value
}
