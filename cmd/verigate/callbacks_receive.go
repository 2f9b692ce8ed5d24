package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"google.golang.org/protobuf/encoding/protojson"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/secret"
)

const (
	// envCallbackSecret is where the receiver looks for the secret.
	envCallbackSecret = "VERIGATE_CALLBACK_SECRET"
	// callbackSecretPrefix begins a secret of the Standard Webhooks specification.
	callbackSecretPrefix = "whsec_"

	// maxCallback is far more than a callback has, in bytes.
	maxCallback = 1 << 20
	// receiveTimeout bounds one request, and the end of the receiver.
	receiveTimeout = 10 * time.Second
)

// receiveFlags are the flags of callbacks receive.
type receiveFlags struct {
	listen string
	secret string
	count  int
	fail   int
	asJSON bool
}

func callbacksReceive(w world) *cobra.Command {
	var f receiveFlags
	cmd := &cobra.Command{
		Use:   "receive",
		Short: "Receive callbacks here and verify them, for trying things out",
		Long: `Listen for callbacks, verify each with the official Standard Webhooks library, and
print one line for it: the event, what happened, where the verification stands.
A message that does not verify is answered 401 and told on standard error. Give
the printed address to start --callback-url and --events-callback-url; a gateway
delivers to a loopback address in development only.

It is a tool, not a backend: a backend also remembers which webhook-id it has
seen. docs/callbacks.md shows one.

` + exitHelp,
		Example: `  verigate callbacks receive
  verigate callbacks receive --listen 127.0.0.1:0 --secret '${MY_SECRET}' --count 1 --json
  verigate callbacks receive --fail 2`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return receive(cmd.Context(), w, &f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", "127.0.0.1:9000", "where to listen; port 0 takes any that is free")
	flags.StringVar(&f.secret, "secret", "", "where the secret is, ${NAME} or file:/path (or "+envCallbackSecret+", or "+devEnvPath+")")
	flags.IntVar(&f.count, "count", 0, "end after so many accepted messages; 0 means never")
	flags.IntVar(&f.fail, "fail", 0, "answer 500 to the first so many verified messages, to see retries")
	flags.BoolVar(&f.asJSON, "json", false, "print each event as JSON, one per line")
	classify(cmd)
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError("%v\nSee `%s --help`.", err, cmd.CommandPath())
	})
	return cmd
}

// receive serves until enough came or ctx ends. Being interrupted is the usual
// end, unless messages were counted.
func receive(ctx context.Context, w world, f *receiveFlags) error {
	if f.count < 0 || f.fail < 0 {
		return usageError("--count and --fail: must not be negative")
	}
	key, err := callbackSecret(w, f.secret)
	if err != nil {
		return err
	}
	verifier, err := callbackVerifier(key)
	if err != nil {
		return err
	}
	r := &receiver{receiveFlags: *f, std: w.std, verifier: verifier, enough: make(chan struct{})}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", f.listen)
	if err != nil {
		return usageError("--listen: cannot listen on %s: %v", printable(f.listen), err)
	}
	server := &http.Server{Handler: r, ReadTimeout: receiveTimeout, WriteTimeout: receiveTimeout}
	var broken error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		broken = server.Serve(listener)
	}()
	_, _ = fmt.Fprintf(w.std.Err, "receiving callbacks at http://%s/\nStop with ctrl-C.\n", listener.Addr())
	var failure error
	select {
	case <-ended:
	case <-r.enough:
	case <-ctx.Done():
		if f.count > 0 {
			failure = ctx.Err()
		}
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), receiveTimeout)
	defer cancel()
	failure = errors.Join(failure, server.Shutdown(bounded))
	<-ended
	if !errors.Is(broken, http.ErrServerClosed) {
		failure = errors.Join(failure, broken)
	}
	return failure
}

// callbackSecret looks for the secret in the flag, then the environment, then
// the file that `verigate dev` wrote.
func callbackSecret(w world, reference string) (secret.Value, error) {
	if reference != "" {
		if !isReference(reference) {
			return secret.Value{}, usageError("--secret: write where the secret is, ${NAME} or file:/path, not the secret itself\n"+
				"A secret on the command line shows in the process list; %s is the usual place.", envCallbackSecret)
		}
		return resolveFlag("--secret", reference, w.std)
	}
	text := firstOf(w.std.Getenv(envCallbackSecret), readEnvFile(w.devEnv)[envCallbackSecret])
	if text == "" {
		return secret.Value{}, usageError("no secret to verify with\n"+
			"Set --secret or %s, or run `verigate dev` in this folder, which writes %s.", envCallbackSecret, devEnvPath)
	}
	return secret.New(text), nil
}

// callbackVerifier never repeats the secret in its error.
func callbackVerifier(key secret.Value) (*standardwebhooks.Webhook, error) {
	text := strings.TrimSpace(key.Reveal())
	verifier, err := standardwebhooks.NewWebhook(text)
	if err != nil || !strings.HasPrefix(text, callbackSecretPrefix) || len(text) == len(callbackSecretPrefix) {
		return nil, usageError("--secret (or %s): must be a Standard Webhooks secret, %s and base64, as under `callbacks` in the gateway's configuration",
			envCallbackSecret, callbackSecretPrefix)
	}
	return verifier, nil
}

// receiver takes callbacks.
type receiver struct {
	receiveFlags

	std      streams
	verifier *standardwebhooks.Webhook
	// enough is closed when count messages were accepted.
	enough chan struct{}

	// mu keeps the lines apart and guards the counts.
	mu       sync.Mutex
	failed   int
	accepted int
}

// ServeHTTP verifies one message and answers as a backend should.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	if request.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, request.Body, maxCallback))
	if err != nil {
		r.refuse(w, http.StatusRequestEntityTooLarge, "a message that is too large, or was cut off")
		return
	}
	if err := r.verifier.Verify(body, request.Header); err != nil {
		r.refuse(w, http.StatusUnauthorized, "a message that does not verify: "+verifyProblem(err))
		return
	}
	event := &verigatev1.Event{}
	// A newer gateway may send fields that this command does not know.
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, event); err != nil {
		r.refuse(w, http.StatusBadRequest, "a verified message that is no event")
		return
	}
	w.WriteHeader(r.accept(event))
}

func (r *receiver) refuse(w http.ResponseWriter, status int, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = fmt.Fprintf(r.std.Err, "%d: %s\n", status, printable(why))
	w.WriteHeader(status)
}

// accept prints an event, or fails on purpose, and returns the answer's status.
func (r *receiver) accept(event *verigatev1.Event) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed < r.fail {
		r.failed++
		_, _ = fmt.Fprintf(r.std.Err, "500: %s, on purpose (%d of %d)\n", printable(event.GetId()), r.failed, r.fail)
		return http.StatusInternalServerError
	}
	if r.count > 0 && r.accepted == r.count {
		return http.StatusServiceUnavailable // it is about to end, and would not be printed
	}
	if err := r.print(event); err != nil {
		return http.StatusInternalServerError
	}
	r.accepted++
	if r.accepted == r.count {
		close(r.enough)
	}
	return http.StatusNoContent
}

func (r *receiver) print(event *verigatev1.Event) error {
	if r.asJSON {
		return writeJSON(r.std.Out, event)
	}
	_, err := fmt.Fprintf(r.std.Out, "%s  %s  %s  %s\n", printable(event.GetId()),
		kindName(event.GetKind()), stateName(event.GetState()), printable(event.GetVerificationId()))
	return err
}

// verifyProblem says in our words why a message does not verify.
func verifyProblem(err error) string {
	switch {
	case errors.Is(err, standardwebhooks.ErrRequiredHeaders):
		return "webhook-id, webhook-timestamp or webhook-signature is missing"
	case errors.Is(err, standardwebhooks.ErrMessageTooOld), errors.Is(err, standardwebhooks.ErrMessageTooNew):
		return "its timestamp is more than five minutes off; check both clocks"
	case errors.Is(err, standardwebhooks.ErrNoMatchingSignature):
		return "no signature is by this secret"
	}
	return "its headers cannot be read"
}
