package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/verigate/verigate/bench/peer"
	"github.com/verigate/verigate/bench/report"
	"github.com/verigate/verigate/bench/rig"
	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/secret"
)

// Target is a gateway that runs, with everything of its configuration that its
// provider and its callers know.
type Target struct {
	// Config is the file's path, for messages.
	Config string
	// Public and Webhooks are host:port, both without TLS.
	Public, Webhooks string
	// DatabaseURL is the gateway's. ReferenceURL is an empty database on the same
	// server, for pgbench; it may be empty.
	DatabaseURL, ReferenceURL secret.Value
	// APIKey is that of a backend in the project, environment test.
	APIKey secret.Value
	// Names are those of a connection of provider verifyhuman in environment test
	// and of a flow that uses it.
	Names rig.Names
	// TokenKeyID and TokenKey sign client tokens.
	TokenKeyID string
	TokenKey   secret.Value
	// WebhookSecret signs the connection's webhooks.
	WebhookSecret secret.Value
	// PID is the gateway's process on this machine; 0 if it is not known.
	PID int
	// Heartbeat and MaxWatchers are those of watch.
	Heartbeat   time.Duration
	MaxWatchers int
}

// unfit says why a table cannot be measured, or nothing.
func (o Options) unfit(table string) string {
	switch {
	case o.Target == nil:
		return ""
	case table == "growth":
		return "it fills a database of its own with millions of rows and empties it again; leave out --config"
	case table == "nodes":
		return "it starts gateways of its own, one bus after the other; leave out --config"
	case table == "watchers" && o.Target.PID == 0:
		return "it measures the gateway's memory and CPU; give its process with --pid"
	}
	return ""
}

// warnings are what a reader must know of figures about a target.
func (o Options) warnings() []string {
	if o.Target == nil {
		return nil
	}
	warnings := []string{"a gateway that somebody else configured was measured: what else it and its database did meanwhile is in the figures."}
	for _, t := range tables() {
		if reason := o.unfit(t.name); reason != "" && len(o.Only) == 0 {
			warnings = append(warnings, "the table "+t.name+" was left out: "+reason+".")
		}
	}
	if o.Target.PID == 0 && (len(o.Only) == 0 || slices.Contains(o.Only, "overload")) {
		warnings = append(warnings, "without --pid the gateway's memory is not known, and its bar cannot be judged.")
	}
	return warnings
}

// openTarget looks whether the gateway, its key and its databases are what the
// benchmark needs, before anything is written.
func (s *session) openTarget(ctx context.Context) (err error) {
	target := s.options.Target
	s.names = target.Names
	s.secrets = rig.Secrets{TokenKeyID: target.TokenKeyID, Tokens: target.TokenKey.Reveal(), Webhooks: target.WebhookSecret.Reveal()}
	if target.PID != 0 {
		if _, err := rig.UsageOf(target.PID); err != nil {
			return fmt.Errorf("--pid: %w; give the gateway's process on this machine", err)
		}
	}
	if err := s.greet(ctx); err != nil {
		return err
	}
	s.sayf("this writes to the database of %s: verifications of flow %s, whose subjects begin with %q and references with %q; those that are decided stay",
		target.Config, s.names.Flow, rig.SubjectPrefix, rig.ReferencePrefix)
	s.pg, err = rig.OpenTarget(ctx, target.DatabaseURL.Reveal(), target.ReferenceURL.Reveal())
	return err
}

// targetStarter is a caller of the target.
func (s *session) targetStarter() *starter {
	target := s.options.Target
	st := &starter{name: gatewayName, address: target.Public, webhooks: target.Webhooks, key: target.APIKey.Reveal(), names: s.names}
	st.connect()
	return st
}

// greet makes a call that changes nothing.
func (s *session) greet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, toldPatience)
	defer cancel()
	st := s.targetStarter()
	defer st.line.CloseIdleConnections()
	call, info := connect.NewClientContext(ctx)
	info.RequestHeader().Set("Authorization", "Bearer "+st.key)
	_, err := st.service.ListVerifications(call, &verigatev1.ListVerificationsRequest{PageSize: 1})
	if refusedKey(err) {
		return fmt.Errorf("--api-key: the gateway refuses it (%s); give a key of project %s, environment %s, that may read verifications",
			connect.CodeOf(err), s.names.Project, rig.Environment)
	}
	if err != nil {
		return fmt.Errorf("the gateway at %s does not answer as one (%s); does it run, with the configuration %s?", st.address, connect.CodeOf(err), s.options.Target.Config)
	}
	return nil
}

func refusedKey(err error) bool {
	code := connect.CodeOf(err)
	return err != nil && (code == connect.CodeUnauthenticated || code == connect.CodePermissionDenied)
}

// tidyTimeout bounds the removal of generated verifications.
const tidyTimeout = 2 * time.Minute

// tidy removes what was made in a target's database and never decided.
func (s *session) tidy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTimeout)
	defer cancel()
	var errs []error
	for set, rows := range s.seeded {
		errs = append(errs, rig.RemoveUndecided(ctx, s.pg.Pool, set, rows))
	}
	return errors.Join(errs...)
}

// heartbeat is how often a watcher hears of the gateway.
func (s *session) heartbeat() time.Duration {
	if s.options.Target != nil {
		return s.options.Target.Heartbeat
	}
	return fastHeartbeat
}

// collecting says how the measured servers free memory.
func (s *session) collecting() string {
	if s.options.Target != nil {
		return "the bare handler runs with GOGC=25, and the gateway as it was started: with GOGC=25 in its environment it is comparable"
	}
	return "both servers run with GOGC=25"
}

// withinTarget leaves out the numbers of watchers that a target does not take.
func (s *session) withinTarget(t *report.Table, watchers []int64) []int64 {
	if s.options.Target == nil {
		return watchers
	}
	limit := int64(s.options.Target.MaxWatchers)
	var fit []int64
	for _, n := range watchers {
		if n <= limit {
			fit = append(fit, n)
		}
	}
	if len(fit) < len(watchers) {
		t.Notes = append(t.Notes, fmt.Sprintf("watch.max_watchers of the gateway is %d, so more watchers are left out", limit))
	}
	if len(fit) == 0 {
		return []int64{limit}
	}
	return fit
}

const (
	// targetStartRate is low: a real provider makes a page for each start.
	targetStartRate = 10
	gatewayName     = "gateway"
)

// startAtTarget measures starts if the target's provider answers, and refusals.
func (s *session) startAtTarget(ctx context.Context, t *report.Table) (err error) {
	plain, err := peer.Start(ctx, peer.Options{Folder: s.folder, Secret: s.secrets.Webhooks})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, plain.Stop()) }()
	bare := &starter{name: bareStart, address: plain.Address, webhooks: plain.Address, names: s.names}
	own := s.targetStarter()
	defer own.line.CloseIdleConnections()
	if err := s.startsAtTarget(ctx, t, own); err != nil {
		return err
	}
	return s.refusals(ctx, t, own, bare)
}

func (s *session) startsAtTarget(ctx context.Context, t *report.Table, own *starter) error {
	_, err := own.one(ctx)
	if refusedKey(err) {
		return fmt.Errorf("--api-key: the gateway does not let it start verifications (%s); give a key of project %s, environment %s, that may write them",
			connect.CodeOf(err), s.names.Project, rig.Environment)
	}
	if err != nil {
		t.Notes = append(t.Notes, fmt.Sprintf("starts are left out: a first StartVerification ended with %v", err))
		return nil
	}
	times, err := own.run(ctx, targetStartRate, size(s, 6*time.Second, time.Second))
	if err != nil {
		return err
	}
	for i, name := range percentileNames()[:2] {
		t.Figures = append(t.Figures, report.Single("start, the provider's time included, "+name, milliseconds, percentilesOf(times)[i]))
	}
	t.Notes = append(t.Notes, fmt.Sprintf("%d starts a second; how long the provider took is not known, so the bar cannot be judged", targetStartRate))
	return nil
}
