// Package peer is the references that are servers: a plain connect-go service
// that does what the gateway does, without a database and without promises. It
// runs in a process of its own, as the gateway does.
//
//	POST /webhooks/… ─► HMAC ─► the verification's channel ─► WatchStatus
//	StartVerification ─► the provider ─► answer
//	anything else     ─► 401
//
// It shows what the line, HTTP and the clients cost on this machine: nobody who
// keeps a promise can be faster.
package peer

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/verigate/verigate/bench/rig"
	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
)

// The child's environment.
const (
	envSecret   = "VERIGATE_BENCH_PEER_SECRET"
	envProvider = "VERIGATE_BENCH_PEER_PROVIDER"
)

const (
	readTimeout = 10 * time.Second
	maxBody     = 1 << 20
	maxPerLine  = 250
)

// Peer is the child process, as the benchmark sees it.
type Peer struct {
	*rig.Process

	// Address is host:port.
	Address string
}

// Options say how a peer is started.
type Options struct {
	// Folder takes the log.
	Folder string
	// Secret is what webhooks are signed with.
	Secret string
	// ProviderURL is what StartVerification calls; empty if nobody starts.
	ProviderURL string
	// Env is added to its environment.
	Env []string
}

// Start starts a peer.
func Start(ctx context.Context, o Options) (*Peer, error) {
	p, err := rig.StartProcess(ctx, rig.Command{
		Name: "peer", Folder: o.Folder, Args: []string{"bench", "peer"},
		Env: append([]string{envSecret + "=" + o.Secret, envProvider + "=" + o.ProviderURL}, o.Env...),
	})
	if err != nil {
		return nil, err
	}
	return &Peer{Process: p, Address: p.Ready}, nil
}

// Child runs in the child process until ctx is done or in ends. Its first line
// is its address.
func Child(ctx context.Context, in io.Reader, out io.Writer) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	s := &service{
		secret: []byte(os.Getenv(envSecret)), provider: os.Getenv(envProvider),
		waiting: map[string]chan struct{}{}, client: &http.Client{Timeout: readTimeout},
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Handler: s.routes(), Protocols: protocols, ReadHeaderTimeout: readTimeout,
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: maxPerLine},
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var group sync.WaitGroup
	group.Go(func() {
		_, _ = io.Copy(io.Discard, in) // its end is the signal
		cancel()
	})
	group.Go(func() {
		<-ctx.Done()
		_ = server.Close() // the streams never end by themselves
	})
	if _, err := fmt.Fprintln(out, listener.Addr()); err != nil {
		return errors.Join(err, listener.Close())
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// service is the bare gateway.
type service struct {
	verigatev1connect.UnimplementedVerificationServiceHandler

	secret   []byte
	provider string
	client   *http.Client

	mu sync.Mutex
	// waiting has a channel for each watched verification, by its id. It is closed
	// when the webhook came.
	waiting map[string]chan struct{}
}

func (s *service) routes() http.Handler {
	mux := http.NewServeMux()
	api := connect.NewServer()
	verigatev1connect.RegisterVerificationServiceHandler(api, s)
	connecthttp.Mount(mux, api)
	mux.HandleFunc("POST /webhooks/", s.webhook)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // as whoever checks a signature does
		http.Error(w, http.StatusText(http.StatusUnauthorized), http.StatusUnauthorized)
	})
	return mux
}

// webhook checks the signature and wakes whoever waits. The header says who is
// meant: a bare handler has no database to look it up in.
func (s *service) webhook(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	mac := hmac.New(sha256.New, s.secret)
	mac.Write(body)
	said := strings.TrimPrefix(r.Header.Get("X-VerifyHuman-Signature"), "sha256=")
	digits, digitsErr := hex.DecodeString(said)
	if err != nil || digitsErr != nil || !hmac.Equal(digits, mac.Sum(nil)) {
		http.Error(w, http.StatusText(http.StatusUnauthorized), http.StatusUnauthorized)
		return
	}
	var payload struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(body, &payload) == nil {
		s.wake(payload.ID)
	}
	w.WriteHeader(http.StatusOK)
}

func (s *service) wake(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if waiting, ok := s.waiting[name]; ok {
		close(waiting)
		delete(s.waiting, name)
	}
}

// eventOf is the id of the webhook that decides a verification: it has the same
// digits.
func eventOf(id string) string {
	return rig.KindEvent + "_" + strings.ReplaceAll(id, "-", "")
}

// WatchStatus sends where the verification stands, waits, and sends the result.
func (s *service) WatchStatus(ctx context.Context, r *verigatev1.WatchStatusRequest, stream verigatev1connect.VerificationServiceWatchStatusServerStream) error {
	update := &verigatev1.StatusUpdate{
		Kind: verigatev1.StatusUpdateKind_STATUS_UPDATE_KIND_SNAPSHOT, VerificationId: r.GetId(), Version: 2,
		State:  verigatev1.VerificationState_VERIFICATION_STATE_PENDING,
		Result: verigatev1.VerificationResult_VERIFICATION_RESULT_PENDING,
	}
	waiting := make(chan struct{})
	s.mu.Lock()
	s.waiting[eventOf(r.GetId())] = waiting
	s.mu.Unlock()
	if err := stream.Send(update); err != nil {
		return err
	}
	select {
	case <-waiting:
	case <-ctx.Done():
		return ctx.Err()
	}
	return stream.Send(&verigatev1.StatusUpdate{
		Kind: verigatev1.StatusUpdateKind_STATUS_UPDATE_KIND_UPDATE, VerificationId: r.GetId(), Version: 3, Terminal: true,
		State:  verigatev1.VerificationState_VERIFICATION_STATE_APPROVED,
		Result: verigatev1.VerificationResult_VERIFICATION_RESULT_PASS,
	})
}

// StartVerification asks the provider and passes its answer on.
func (s *service) StartVerification(ctx context.Context, r *verigatev1.StartVerificationRequest) (*verigatev1.StartVerificationResponse, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.provider+"/hosted/generate",
		strings.NewReader(`{"product":"`+rig.OwnNames().Product+`","expires_in_hours":2}`))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	var page struct {
		HostedURL string `json:"hosted_url"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&page); err != nil {
		return nil, err
	}
	return &verigatev1.StartVerificationResponse{
		HostedUrl:    page.HostedURL,
		Verification: &verigatev1.Verification{Subject: r.GetSubject(), HostedUrl: page.HostedURL},
	}, nil
}
