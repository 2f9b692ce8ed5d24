package providertest

import (
	"net/http"
	"testing"
	"time"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/verification"
)

// Options is what a test asks of a fresh adapter.
type Options struct {
	// BaseURL is where the provider listens: a loopback address, plain http.
	BaseURL string
	// Secrets are the webhook secrets in force.
	Secrets []string
	// Timeout bounds one call to the provider.
	Timeout time.Duration
	// Deps is for Settings.Open as it is.
	Deps provider.Deps
}

// Harness is what an adapter's test supplies.
type Harness struct {
	// Open opens the adapter. It fails the test when it cannot.
	Open func(t *testing.T, o Options) provider.Provider

	// Sign returns the headers with which the provider would send the body:
	// signed with the secret at the given time.
	Sign func(body []byte, secret string, at time.Time) http.Header
	// SignatureHeader is the name of the header that carries the signature.
	SignatureHeader string
	// MalformedSignatures are values of that header that the provider never
	// sends, beyond those that Run derives from a good one.
	MalformedSignatures []string
	// ReplayWindow is how far the time of signing may lie from the arrival;
	// zero for a scheme that sends no time.
	ReplayWindow time.Duration

	// Fixtures are recorded webhooks, at least one.
	Fixtures []Fixture

	// Start is the request that Answer answers.
	Start verification.StartSession
	// Answer answers a good start as the provider does.
	Answer http.HandlerFunc
	// CheckStart looks at the one request that Start sends.
	CheckStart func(t *testing.T, request *http.Request, body []byte)
	// Session is what Start makes of Answer.
	Session verification.Session
}

// Fixture is a recorded webhook and what the adapter must read in it.
type Fixture struct {
	// Name is a sentence: it names the sub-test.
	Name string
	// Body is the exact body.
	Body []byte
	// Notice is what Decode must return.
	Notice provider.Notice
}

// Secrets of the suite's own making. They are long enough to be found in a log.
const (
	currentSecret  = "providertest-current-secret"
	previousSecret = "providertest-previous-secret"
	foreignSecret  = "providertest-foreign-secret"
)

// patience bounds a test that would otherwise hang on a broken adapter. It is
// never waited for when the adapter is right.
const patience = 30 * time.Second

// generous is the adapter's timeout where the test is not about time.
const generous = 20 * time.Second

// Run checks an adapter. Each test opens its own, so all run in parallel.
func Run(t *testing.T, h Harness) {
	t.Helper()
	if len(h.Fixtures) == 0 {
		t.Fatal("the harness has no fixtures; record at least one webhook")
	}
	t.Run("authentication", func(t *testing.T) { t.Parallel(); runAuthentication(t, h) })
	t.Run("decoding", func(t *testing.T) { t.Parallel(); runDecoding(t, h) })
	t.Run("start", func(t *testing.T) { t.Parallel(); runStart(t, h) })
}

// arrival is when the suite's webhooks arrive. Any fixed time does: adapters
// read no clock.
func arrival() time.Time { return time.Date(2026, time.May, 17, 10, 30, 0, 0, time.UTC) }

// open opens an adapter that calls nothing, with both secrets of a rotation.
func (h Harness) open(t *testing.T) (provider.Provider, *journal) {
	t.Helper()
	return h.openAt(t, "http://127.0.0.1:9", generous)
}

func (h Harness) openAt(t *testing.T, baseURL string, timeout time.Duration) (provider.Provider, *journal) {
	t.Helper()
	log := &journal{}
	return h.Open(t, Options{
		BaseURL: baseURL,
		Secrets: []string{currentSecret, previousSecret},
		Timeout: timeout,
		Deps:    provider.Deps{HTTP: &http.Client{Transport: &http.Transport{}}, Log: log.logger(), Now: time.Now},
	}), log
}
