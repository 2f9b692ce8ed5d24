package park

import "sync"

// mostIdle is how many goroutines wait for the next stream. It is about what one
// tick of the wheel needs with a hundred thousand streams.
const mostIdle = 256

// crew are the goroutines that do what there is to do. One that is done waits for
// another stream: its stack has grown to what the work needs, and to grow a new
// one costs more than a heartbeat. None is ever waited for: if all are busy there
// is a new one, so that readers that do not read hold up nobody.
type crew struct {
	streams chan *Stream
	quit    chan struct{}

	mu      sync.Mutex
	idle    int
	members int
	over    bool
	// left is told when the last member went.
	left *sync.Cond
}

func newCrew() *crew {
	c := &crew{streams: make(chan *Stream), quit: make(chan struct{})}
	c.left = sync.NewCond(&c.mu)
	return c
}

// run has a stream run. It never blocks.
func (c *crew) run(s *Stream) {
	select {
	case c.streams <- s:
	default:
		c.join()
		go c.work(s)
	}
}

func (c *crew) work(s *Stream) {
	defer c.leave()
	for s != nil {
		s.run()
		s = c.next()
	}
}

// next waits for another stream; nil if there are enough who do.
func (c *crew) next() *Stream {
	if !c.rest() {
		return nil
	}
	defer c.rise()
	select {
	case s := <-c.streams:
		return s
	case <-c.quit:
		return nil
	}
}

func (c *crew) rest() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over || c.idle == mostIdle {
		return false
	}
	c.idle++
	return true
}

func (c *crew) rise() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle--
}

func (c *crew) join() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members++
}

func (c *crew) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.members--; c.members == 0 {
		c.left.Broadcast()
	}
}

// dismiss has nobody wait any more, and returns when all have gone.
func (c *crew) dismiss() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	close(c.quit)
	for c.members > 0 {
		c.left.Wait()
	}
}
