package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const (
	receiveSecret = "whsec_c2FuZGJveC1jYWxsYmFjay1zZWNyZXQtMzItYnl0ZXM="
	callbackBody  = `{"id":"` + testID + `.4","apiVersion":"v1","kind":"EVENT_KIND_PASSED","verificationId":"` + testID +
		`","state":"VERIFICATION_STATE_APPROVED","version":"4","fieldOfTomorrow":1}`
)

// listening is a running receiver.
type listening struct {
	t        *testing.T
	out, err *lineWatcher
	url      string
	stop     context.CancelFunc
	code     chan int
}

// receiving runs `callbacks receive` on a free port.
func receiving(t *testing.T, args ...string) *listening {
	t.Helper()
	b := newBench(t)
	ctx, stop := context.WithCancel(t.Context())
	l := &listening{t: t, out: newLineWatcher(), err: newLineWatcher(), stop: stop, code: make(chan int, 1)}
	b.world.std.Out, b.world.std.Err = l.out, l.err
	b.env[envCallbackSecret] = receiveSecret
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.code <- b.runIn(ctx, append([]string{"callbacks", "receive", "--listen", "127.0.0.1:0"}, args...)...)
	}()
	t.Cleanup(func() { stop(); <-ended })
	l.sees(l.err, "Stop with ctrl-C.")
	l.url = regexp.MustCompile(`http://[0-9.:]+/`).FindString(l.err.String())
	return l
}

// sees waits for a text in an output.
func (l *listening) sees(w *lineWatcher, text string) {
	l.t.Helper()
	select {
	case <-w.saw(text):
	case code := <-l.code:
		l.t.Fatalf("it ended with %d before it said %q: %s", code, text, l.err)
	case <-time.After(patience):
		l.t.Fatalf("it never said %q: %s", text, l.err)
	}
}

// ends waits for the exit code.
func (l *listening) ends() int {
	l.t.Helper()
	select {
	case code := <-l.code:
		return code
	case <-time.After(patience):
		l.t.Fatalf("it does not end: %s", l.err)
		return 0
	}
}

// send delivers a message that is signed with a secret now and returns the
// answer's status.
func (l *listening) send(secretText, body string, change func(*http.Request)) int {
	l.t.Helper()
	signer, err := standardwebhooks.NewWebhook(secretText)
	if err != nil {
		l.t.Fatal(err)
	}
	now := time.Now()
	signature, err := signer.Sign("an-id.4", now, []byte(body))
	if err != nil {
		l.t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(l.t.Context(), http.MethodPost, l.url, strings.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
	request.Header.Set(standardwebhooks.HeaderWebhookID, "an-id.4")
	request.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	request.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	if change != nil {
		change(request)
	}
	line := &http.Transport{}
	defer line.CloseIdleConnections()
	response, err := line.RoundTrip(request)
	if err != nil {
		l.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	return response.StatusCode
}

func TestAReceivedCallbackIsVerifiedAndPrinted(t *testing.T) {
	t.Parallel()
	l := receiving(t)
	if status := l.send(receiveSecret, callbackBody, nil); status != http.StatusNoContent {
		t.Errorf("answered %d: %s", status, l.err)
	}
	if want := testID + ".4  passed  approved  " + testID + "\n"; l.out.String() != want {
		t.Errorf("printed %q, want %q", l.out, want)
	}
	l.stop()
	if code := l.ends(); code != exitPass {
		t.Errorf("stopped by hand it ends with %d", code)
	}
}

func TestWhatDoesNotVerifyIsRefusedAndNotPrinted(t *testing.T) {
	t.Parallel()
	stranger := "whsec_YW5vdGhlci1jYWxsYmFjay1zZWNyZXQtMzItYnl0ZXM="
	for _, c := range []struct {
		name, secret, body, told string
		status                   int
		change                   func(*http.Request)
	}{
		{name: "a message by another secret", secret: stranger, body: callbackBody, status: http.StatusUnauthorized, told: "no signature is by this secret"},
		{
			name: "a message without a signature", secret: receiveSecret, body: callbackBody, status: http.StatusUnauthorized, told: "is missing",
			change: func(r *http.Request) { r.Header.Del(standardwebhooks.HeaderWebhookSignature) },
		},
		{
			name: "an old message", secret: receiveSecret, body: callbackBody, status: http.StatusUnauthorized, told: "check both clocks",
			change: func(r *http.Request) { r.Header.Set(standardwebhooks.HeaderWebhookTimestamp, "1779013800") },
		},
		{
			name: "a message with a time that is none", secret: receiveSecret, body: callbackBody, status: http.StatusUnauthorized, told: "cannot be read",
			change: func(r *http.Request) { r.Header.Set(standardwebhooks.HeaderWebhookTimestamp, "now") },
		},
		{name: "a verified text that is no event", secret: receiveSecret, body: "[]", status: http.StatusBadRequest, told: "no event"},
		{name: "a message that is too large", secret: receiveSecret, body: strings.Repeat("x", maxCallback+1), status: http.StatusRequestEntityTooLarge, told: "too large"},
		{
			name: "a question", secret: receiveSecret, body: "", status: http.StatusMethodNotAllowed,
			change: func(r *http.Request) { r.Method = http.MethodGet },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := receiving(t)
			if status := l.send(c.secret, c.body, c.change); status != c.status || l.out.String() != "" || !strings.Contains(l.err.String(), c.told) {
				t.Errorf("answered %d, want %d\nout: %s\nerr: %s", status, c.status, l.out, l.err)
			}
		})
	}
}

func TestAReceiverFailsOnPurposeAndEndsAfterACount(t *testing.T) {
	t.Parallel()
	l := receiving(t, "--fail", "2", "--count", "2", "--json")
	for i, want := range []int{500, 500, http.StatusNoContent, http.StatusNoContent} {
		if status := l.send(receiveSecret, callbackBody, nil); status != want {
			t.Errorf("message %d is answered %d, want %d", i+1, status, want)
		}
	}
	if code := l.ends(); code != exitPass {
		t.Errorf("it ends with %d: %s", code, l.err)
	}
	if strings.Count(l.out.String(), "\n") != 2 || !strings.Contains(l.out.String(), `"kind":"EVENT_KIND_PASSED"`) {
		t.Errorf("printed %s", l.out)
	}
	l.sees(l.err, "on purpose (2 of 2)")
}

func TestAReceiverThatIsStoppedBeforeItsCountWasInterrupted(t *testing.T) {
	t.Parallel()
	l := receiving(t, "--count", "1")
	l.stop()
	if code := l.ends(); code != exitInterrupted {
		t.Errorf("it ends with %d", code)
	}
}

func TestTheReceiversSecretIsFound(t *testing.T) {
	t.Parallel()
	t.Run("in the file that the flag names, before the environment", func(t *testing.T) {
		t.Parallel()
		other := "whsec_YW5vdGhlci1jYWxsYmFjay1zZWNyZXQtMzItYnl0ZXM="
		path := filepath.Join(t.TempDir(), "secret")
		write(t, path, other+"\n")
		l := receiving(t, "--secret", "file:"+path)
		if status := l.send(other, callbackBody, nil); status != http.StatusNoContent {
			t.Errorf("answered %d: %s", status, l.err)
		}
	})
	t.Run("in the file of verigate dev", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.env = nil
		b.writeDevEnv(envCallbackSecret + "=" + receiveSecret + "\n")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		b.want(exitPass, b.runIn(ctx, "callbacks", "receive", "--listen", "127.0.0.1:0"), "", "")
	})
	for _, c := range []struct{ name, value, env, want string }{
		{"or the error names all three places", "", "", "Set --secret or " + envCallbackSecret + ", or run `verigate dev`"},
		{"but not on the command line", receiveSecret, "", "shows in the process list"},
		{"and it is one", "", "whsec_" + secretMark + "!", "must be a Standard Webhooks secret"},
		{"and it is not empty", "", "whsec_", "must be a Standard Webhooks secret"},
		{"and it has the prefix", "", strings.TrimPrefix(receiveSecret, "whsec_"), "must be a Standard Webhooks secret"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.env[envCallbackSecret] = c.env
			args := []string{"callbacks", "receive", "--listen", "127.0.0.1:0"}
			if c.value != "" {
				args = append(args, "--secret", c.value)
			}
			b.want(exitUsage, b.run(args...), "", c.want)
			for _, text := range []string{receiveSecret, secretMark} {
				if strings.Contains(b.err.String(), text) {
					t.Errorf("the secret is repeated: %s", b.err.String())
				}
			}
		})
	}
}

func TestAReceiverThatCannotListenSaysSo(t *testing.T) {
	t.Parallel()
	taken := receiving(t)
	address := strings.Trim(strings.TrimPrefix(taken.url, "http://"), "/")
	for _, args := range [][]string{{"--listen", address}, {"--listen", "nowhere"}, {"--count", "-1"}, {"--fail", "-1"}, {"here"}} {
		b := newBench(t)
		b.env[envCallbackSecret] = receiveSecret
		code := b.run(append([]string{"callbacks", "receive"}, args...)...)
		b.want(exitUsage, code, "", strings.TrimSuffix(args[0], "here"))
	}
}

// The example of the page is the receiver that this command is for.
func TestTheReceiverIsNamedInThePage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/callbacks.md")
	if err != nil || !strings.Contains(string(page), "verigate callbacks receive") {
		t.Errorf("docs/callbacks.md does not name it: %v", err)
	}
}
