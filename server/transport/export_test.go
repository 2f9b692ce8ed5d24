package transport

// WithShortDeadlines is WithDeadlines with other times.
var WithShortDeadlines = withDeadlines
