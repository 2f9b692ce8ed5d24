package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// maxRate is the largest count of a rate, whatever its period.
const maxRate = 1_000_000

var ratePattern = regexp.MustCompile(`^[0-9]+/[smh]$`)

// Limits are how often one node lets one caller in.
type Limits struct {
	// PerKey counts calls with one API key.
	PerKey Rate
	// PerSubject counts calls with one end user's token.
	PerSubject Rate
	// StartsPerSubject counts starts for one subject, whoever calls.
	StartsPerSubject Rate
	// PerAddress counts calls and returns from one address, before any
	// credential is looked at.
	PerAddress Rate
	// WebhooksPerAddress counts webhook requests from one address.
	WebhooksPerAddress Rate
}

// Rate allows Count times per Per.
type Rate struct {
	// Count is between 1 and 1,000,000.
	Count int
	// Per is a second, a minute or an hour.
	Per time.Duration
}

func (c *checker) limits() Limits {
	l := c.file.Limits
	return Limits{
		PerKey:             c.rate("limits.per_key", l.PerKey),
		PerSubject:         c.rate("limits.per_subject", l.PerSubject),
		StartsPerSubject:   c.rate("limits.starts_per_subject", l.StartsPerSubject),
		PerAddress:         c.rate("limits.per_address", l.PerAddress),
		WebhooksPerAddress: c.rate("limits.webhooks_per_address", l.WebhooksPerAddress),
	}
}

func (c *checker) rate(path, text string) Rate {
	rate, err := parseRate(text)
	if err != nil {
		c.report.checkf(path, "%v", err)
	}
	return rate
}

// parseRate reads count/period, the period being s, m or h.
func parseRate(text string) (Rate, error) {
	if !ratePattern.MatchString(text) {
		return Rate{}, fmt.Errorf("%s is not a rate; write a count and a period of s, m or h, such as 100/s, 600/m or 10/h", quote(text))
	}
	digits, period, _ := strings.Cut(text, "/")
	count, err := strconv.Atoi(digits)
	if err != nil || count < 1 || count > maxRate {
		return Rate{}, fmt.Errorf("is %s, but the count must be between 1 and %d", quote(text), maxRate)
	}
	periods := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}
	return Rate{Count: count, Per: periods[period]}, nil
}
