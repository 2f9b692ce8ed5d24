package transport

import (
	"net/http"
	"time"
)

const (
	// requestTime is how long a request may take to arrive.
	requestTime = 10 * time.Second
	// answerTime is how long an answer may take to leave.
	answerTime = 30 * time.Second
)

// WithDeadlines is middleware that cuts off clients that drip their request or
// do not read their answer, on every route. A handler that waits, streams or
// takes larger bodies sets its own deadlines through http.ResponseController,
// and lifts these.
func WithDeadlines(next http.Handler) http.Handler {
	return withDeadlines(next, requestTime, answerTime)
}

func withDeadlines(next http.Handler, arrive, leave time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control, now := http.NewResponseController(w), time.Now()
		// Both fail only on writers that no server of ours has.
		_ = control.SetReadDeadline(now.Add(arrive))
		_ = control.SetWriteDeadline(now.Add(leave))
		next.ServeHTTP(w, r)
	})
}
