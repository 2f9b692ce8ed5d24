package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	connectv1 "connectrpc.com/connect"
	"connectrpc.com/grpchealth"

	"golang.org/x/sync/singleflight"

	"github.com/verigate/verigate/db"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/store"
)

const (
	readyTimeout = 2 * time.Second
	// migrationsFor is how long the answer about migrations is believed.
	migrationsFor = 15 * time.Second
)

// readiness says whether this node should get requests: the database answers,
// its schema is this binary's, and the node is not draining. It serves /readyz
// and the gRPC health service.
type readiness struct {
	dsn   secret.Value
	store *store.Store
	now   func() time.Time

	// asking lets any number of probes cost one question at a time.
	asking singleflight.Group

	mu         sync.Mutex
	draining   bool
	checkTime  time.Time
	migrations error
}

func (r *readiness) drain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.draining = true
}

// checkMigrations asks the database and remembers a clear answer; it returns
// what is wrong. A schema that is newer than this binary is not, once a node
// runs: the next release migrates while this one serves.
func (r *readiness) checkMigrations(ctx context.Context) error {
	pending, err := db.Pending(ctx, r.dsn.Reveal())
	if err != nil && !errors.Is(err, db.ErrNewer) {
		return err
	}
	var problem error
	if len(pending) > 0 {
		problem = fmt.Errorf("the database lacks migrations (%s); run `verigate migrate` and start again",
			strings.Join(pending, ", "))
	}
	r.mu.Lock()
	r.checkTime, r.migrations = r.now(), problem
	r.mu.Unlock()
	return errors.Join(problem, err)
}

// problem names what is wrong, in words that are safe for anybody; empty if
// nothing is.
func (r *readiness) problem(ctx context.Context) string {
	answer, _, _ := r.asking.Do("", func() (any, error) { return r.ask(ctx), nil })
	if problem, ok := answer.(string); ok {
		return problem
	}
	return "unknown"
}

// ask finds out. Whoever asks may hang up: the answer is for others too.
func (r *readiness) ask(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTimeout)
	defer cancel()
	r.mu.Lock()
	draining, migrations, stale := r.draining, r.migrations, r.now().Sub(r.checkTime) > migrationsFor
	r.mu.Unlock()
	if draining {
		return "draining"
	}
	if r.store.Ping(ctx) != nil {
		return "database"
	}
	if stale {
		migrations = r.checkMigrations(ctx)
		if errors.Is(migrations, db.ErrNewer) {
			migrations = nil
		}
	}
	if migrations != nil {
		return "migrations"
	}
	return ""
}

// ServeHTTP answers 200 when ready, 503 with the problem's name otherwise.
func (r *readiness) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if problem := r.problem(req.Context()); problem != "" {
		http.Error(w, "not ready: "+problem, http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ready\n"))
}

// Check implements grpchealth.Checker.
func (r *readiness) Check(ctx context.Context, req *grpchealth.CheckRequest) (*grpchealth.CheckResponse, error) {
	if req.Service != "" && req.Service != verigatev1connect.VerificationServiceName && req.Service != verigatev1connect.OperatorServiceName {
		return nil, connectv1.NewError(connectv1.CodeNotFound, errUnknownService)
	}
	if r.problem(ctx) != "" {
		return &grpchealth.CheckResponse{Status: grpchealth.StatusNotServing}, nil
	}
	return &grpchealth.CheckResponse{Status: grpchealth.StatusServing}, nil
}

var errUnknownService = errors.New("unknown service")
