package limit

import "time"

// NewSized is New for another number of keys.
func NewSized(now func() time.Time, most int) *Limiter { return newLimiter(now, most) }
