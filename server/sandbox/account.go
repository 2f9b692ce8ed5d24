package sandbox

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/verigate/verigate/server/secret"
)

const (
	defaultDelay       = 400 * time.Millisecond
	defaultMaxSessions = 10_000
	maxAttempts        = 20
)

// account is what the options of every emulator have in common.
type account struct {
	baseURL     string
	apiKey      secret.Value
	delay       time.Duration
	retry       Retry
	maxSessions int
	client      *http.Client
	log         *slog.Logger
	now         func() time.Time
	wait        Wait
	onDelivery  func(Delivery)
}

// withDefaults returns a with what may be left out.
func (a account) withDefaults() account {
	a.baseURL = strings.TrimRight(a.baseURL, "/")
	switch {
	case a.delay == 0:
		a.delay = defaultDelay
	case a.delay < 0:
		a.delay = 0
	}
	if a.maxSessions == 0 {
		a.maxSessions = defaultMaxSessions
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	if a.wait == nil {
		a.wait = timerWait
	}
	if a.onDelivery == nil {
		a.onDelivery = func(Delivery) {}
	}
	return a
}

// problems says everything that is wrong.
func (a account) problems() []error {
	var problems []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	check(webURL(a.baseURL), "BaseURL: must be an absolute http or https URL without query or fragment")
	check(!a.apiKey.Empty(), "APIKey: must not be empty")
	check(a.now != nil, "Now: must be set, usually to time.Now")
	check(a.maxSessions > 0, "MaxSessions: must not be negative")
	check(a.retry.Attempts >= 0 && a.retry.Attempts <= maxAttempts, "Retry.Attempts: must be from 0 to %d", maxAttempts)
	check(a.retry.Base >= 0, "Retry.Base: must not be negative")
	check(a.retry.Timeout >= 0, "Retry.Timeout: must not be negative")
	return problems
}

func withoutQuery(address string) string {
	before, _, _ := strings.Cut(address, "?")
	return before
}

func webURL(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == schemeHTTP || u.Scheme == schemeHTTPS) && u.Host != "" &&
		u.RawQuery == "" && u.Fragment == ""
}
