package watch

// Latest is the newest version that the watcher was woken for; 0 at first.
func (w *Watcher) Latest() int64 {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	return w.latest
}
