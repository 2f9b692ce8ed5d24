package config

import (
	"errors"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/verification"
)

const (
	maxPort     = 65535
	schemeHTTPS = "https"
	schemeHTTP  = "http"
)

var (
	namePattern = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)
	hostPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)
)

// checker checks decoded values and builds the Config from them.
type checker struct {
	report      *report
	file        *file
	registry    provider.Registry
	bounds      bounds
	development bool
}

// build checks everything. What it returns is of use only if the report is
// empty in the end.
func (c *checker) build() *Config {
	publicURL, connections := c.publicURL(), c.connections()
	return &Config{
		PublicURL:       publicURL,
		WebhooksURL:     c.webhooksURL(publicURL),
		Listeners:       c.listeners(),
		TrustedProxies:  c.trustedProxies(),
		DatabaseURL:     c.databaseURL(),
		ClientTokenKeys: c.keys("client_tokens.keys", c.file.ClientTokens.Keys, "tokens name their key by it"),
		EncryptionKeys:  c.encryptionKeys(),
		Retention:       c.retention(),
		Origins:         c.origins(),
		EndUsers:        c.endUsers(),
		Callbacks:       c.callbacks(),
		Limits:          c.limits(),
		Outgoing:        c.outgoing(),
		Watch:           c.watch(),
		Bus:             c.bus(),
		Drain:           c.within("drain", c.file.Drain, c.bounds.drain),
		Connections:     connections,
		Flows:           c.flows(connections),
	}
}

func (c *checker) publicURL() string {
	if !c.required("public_url", c.file.PublicURL, "write the origin that callers and browsers reach, such as https://verify.example.com") {
		return ""
	}
	return c.origin("public_url", c.file.PublicURL)
}

// webhooksURL is the public one unless the file says otherwise.
func (c *checker) webhooksURL(publicURL string) string {
	const path = "webhooks_url"
	switch {
	case c.file.WebhooksURL != "":
		return c.origin(path, c.file.WebhooksURL)
	case c.report.written(path):
		c.report.checkf(path, "is empty; write the origin that providers reach, or remove the key if it is public_url")
	}
	return publicURL
}

func (c *checker) origin(path, raw string) string {
	origin, problem := parseOrigin(raw, c.development)
	if problem != nil {
		c.report.checkf(path, "%v", problem)
	}
	return origin
}

func (c *checker) retention() Retention {
	r := c.file.Retention
	return Retention{
		Deliveries: c.within("retention.deliveries", r.Deliveries, c.bounds.deliveries),
		Events:     c.within("retention.events", r.Events, c.bounds.events),
		History:    c.history(),
	}
}

// history must not end before anything that is about it. Unless the file says
// how long it is kept, it is as long as the longest of that.
func (c *checker) history() time.Duration {
	const path = "retention.history"
	history, allowed := c.file.Retention.History, c.bounds.history
	longest, what := c.longest()
	switch {
	case !c.report.written(path):
		return max(history, longest)
	case history < allowed.from || history > allowed.to:
		return c.within(path, history, allowed)
	case history < longest && longest <= allowed.to:
		c.report.checkf(path, "is %s, but must be at least as long as %s, %s: what belongs to a verification must not outlive its history",
			formatDuration(history), what, formatDuration(longest))
	}
	return history
}

// longest returns what is kept for longest, or may take longest, and its name.
func (c *checker) longest() (longest time.Duration, what string) {
	longest, what = c.file.Retention.Deliveries, "retention.deliveries"
	if events := c.file.Retention.Events; events > longest {
		longest, what = events, "retention.events"
	}
	for i, f := range c.file.Flows {
		if open := f.Lifetime + f.Grace; open > longest {
			longest, what = open, element("flows", i)+".lifetime and its grace"
		}
	}
	return longest, what
}

func (c *checker) databaseURL() secret.Value {
	if c.file.DatabaseURL.Empty() {
		c.report.checkf("database_url", "is missing; write a reference to the Postgres URL, ${ENV_NAME} or file:/path")
	}
	return c.postgresAddress("database_url", c.file.DatabaseURL)
}

// postgresAddress refuses what is not even meant as one.
func (c *checker) postgresAddress(path string, address secret.Value) secret.Value {
	dsn := address.Reveal()
	if dsn != "" && !strings.HasPrefix(dsn, "postgres://") && !strings.HasPrefix(dsn, "postgresql://") && !strings.Contains(dsn, "=") {
		c.report.checkf(path, "refers to something that is not a Postgres address; it must read postgres://user:password@host/database")
	}
	return address
}

func (c *checker) origins() []string {
	origins := make([]string, 0, len(c.file.CORS.Origins))
	seen := map[string]string{}
	for i, raw := range c.file.CORS.Origins {
		path := element("cors.origins", i)
		origin, problem := parseOrigin(raw, c.development)
		if problem != nil {
			c.report.checkf(path, "%v", problem)
			continue
		}
		c.unique(seen, origin, origin, path, "", "remove one")
		origins = append(origins, origin)
	}
	return origins
}

func (c *checker) watch() Watch {
	w, b := c.file.Watch, c.bounds
	c.count("watch.max_watchers", w.MaxWatchers, 1, b.maxWatchers)
	c.count("watch.max_per_token", w.MaxPerToken, 1, b.maxPerToken)
	c.count("watch.max_per_key", w.MaxPerKey, 1, b.maxWatchers)
	const beats = 2
	if !c.report.unread("watch.heartbeat") && w.MaxAge >= b.maxAge.from && w.MaxAge < beats*w.Heartbeat {
		c.report.checkf("watch.max_age", "is %s, but must be at least twice watch.heartbeat (%s); streams end from half of max_age on",
			formatDuration(w.MaxAge), formatDuration(w.Heartbeat))
	}
	return Watch{
		Heartbeat:    c.within("watch.heartbeat", w.Heartbeat, b.heartbeat),
		MaxAge:       c.within("watch.max_age", w.MaxAge, b.maxAge),
		PollInterval: c.within("watch.poll_interval", w.PollInterval, b.pollInterval),
		MaxWatchers:  w.MaxWatchers,
		MaxPerToken:  w.MaxPerToken,
		MaxPerKey:    w.MaxPerKey,
	}
}

func (c *checker) within(path string, value time.Duration, allowed span) time.Duration {
	if value < allowed.from || value > allowed.to {
		c.report.checkf(path, "is %s, but must be between %s and %s",
			formatDuration(value), formatDuration(allowed.from), formatDuration(allowed.to))
	}
	return value
}

func (c *checker) count(path string, value, least, most int) {
	if value < least || value > most {
		c.report.checkf(path, "is %d, but must be between %d and %d", value, least, most)
	}
}

func (c *checker) required(path, value, remedy string) bool {
	if value == "" {
		c.report.checkf(path, "is missing; %s", remedy)
	}
	return value != ""
}

func (c *checker) matches(path, value string, pattern *regexp.Regexp, shape string) bool {
	if !c.required(path, value, "write "+shape) {
		return false
	}
	if !pattern.MatchString(value) {
		c.report.checkf(path, "%s is not allowed; write %s", quote(value), shape)
		return false
	}
	return true
}

// unique reports a value that an earlier entry has. seen maps identity, which
// is the value or the value and where it counts, to the path of its entry.
func (c *checker) unique(seen map[string]string, identity, value, path, key, why string) {
	earlier, taken := seen[identity]
	if !taken {
		seen[identity] = path
		return
	}
	c.report.checkf(join(path, key), "%s is already used by %s on line %d; %s",
		quote(value), earlier, c.report.lineOf(join(earlier, key)), why)
}

// parseOrigin returns an origin as browsers write it: in lower case, without a
// default port and without a trailing slash.
func parseOrigin(raw string, development bool) (string, error) {
	if strings.Contains(raw, "*") {
		return "", errors.New("wildcards are not allowed; list each origin, such as https://app.example.com")
	}
	u, err := parseURL(raw, development)
	if err != nil {
		return "", err
	}
	if (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.ForceQuery || strings.Contains(raw, "#") {
		return "", errors.New("must be an origin only: remove everything after the host and port")
	}
	host := strings.ToLower(u.Host)
	if u.Scheme == schemeHTTPS {
		host = strings.TrimSuffix(host, ":443")
	} else {
		host = strings.TrimSuffix(host, ":80")
	}
	return u.Scheme + "://" + host, nil
}

// parseURL accepts https, and http to a loopback address in development. Its
// errors do not repeat the URL, which may hold what should not be printed.
func parseURL(raw string, development bool) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme == "" || u.Opaque != "" {
		return nil, errors.New("is not a URL; write it like https://verify.example.com")
	}
	host := strings.ToLower(u.Hostname())
	switch {
	case u.User != nil:
		return nil, errors.New("must not contain a user name or password; remove everything up to the @")
	case !isHost(host):
		return nil, errors.New("must name a host in plain ASCII (xn-- form for other letters), such as verify.example.com")
	case strings.HasSuffix(u.Host, ":") || !isPort(u.Port()):
		return nil, errors.New("has a port that does not exist; it must be between 1 and 65535")
	case u.Scheme == schemeHTTPS, u.Scheme == schemeHTTP && development && isLoopback(host):
		return u, nil
	}
	return nil, errors.New("must begin with https://; http:// is only for loopback addresses in development")
}

func isHost(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || hostPattern.MatchString(host)
}

func isPort(port string) bool {
	number, err := strconv.Atoi(port)
	return port == "" || (err == nil && number >= 1 && number <= maxPort)
}

func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && address.IsLoopback())
}

// message returns what the domain says about a value, without the field's
// name: the path says that.
func message(err error) string {
	if domain, ok := errors.AsType[*verification.Error](err); ok {
		return domain.Message
	}
	return err.Error()
}
