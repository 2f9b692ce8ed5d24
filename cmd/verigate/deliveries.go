package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/seal"
	"github.com/verigate/verigate/server/store"
	"github.com/verigate/verigate/server/verification"
)

// reencryptBatch is how many deliveries one call to the store seals anew.
const reencryptBatch = 200

func deliveriesCommand(w world) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "deliveries",
		Short: "See and settle what providers delivered",
		Long: `A delivery is one webhook request of a provider, as it was kept. One that nobody
can be matched to is unmatched and waits; list shows those, replay reads one
again, and bind says by hand which verification it is about. See
docs/correlation.md.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(deliveriesList(newOperatorCaller(w)), deliveriesShow(newOperatorCaller(w)),
		deliveriesReplay(newOperatorCaller(w)), deliveriesBind(newOperatorCaller(w)), reencryptCommand(w.std))
	return cmd
}

func reencryptCommand(std streams) *cobra.Command {
	path, asJSON := "", false
	cmd := &cobra.Command{
		Use:   "reencrypt",
		Short: "Seal every stored delivery with the first encryption key",
		Long: `Seal anew what is stored under an older key of encryption.keys, or was stored
before there was one. Run it after a new key was put first and all nodes have
reloaded; when it is done, the old key can be removed from the configuration.
It works on the database itself, beside a running gateway, and may be
interrupted and run again.

` + exitHelp,
		Example: `  verigate deliveries reencrypt --config verigate.yaml
  verigate deliveries reencrypt --config verigate.yaml --json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(path, adapters())
			if err != nil {
				return err
			}
			done, err := reencrypt(cmd.Context(), cfg, std)
			if err == nil {
				err = done.problem(cfg)
			}
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(std.Out, map[string]any{"reencrypted": done.changed, "key": done.key})
			}
			_, err = fmt.Fprintf(std.Out, "%d deliveries were sealed anew; all are under the key %s\n", done.changed, done.key)
			return err
		},
	}
	cmd.Flags().StringVar(&path, "config", defaultConfig, "the configuration file, with the old and the new key")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// reencryption is what a run did.
type reencryption struct {
	// key is the id of the first key, changed how many deliveries are newly
	// under it.
	key     string
	changed int64
	// left is how many deliveries are still under which other key.
	left map[string]int64
	// unopened is why some of those did not open; nil if all did.
	unopened error
}

func reencrypt(ctx context.Context, cfg *config.Config, std streams) (*reencryption, error) {
	keys := make([]seal.Key, 0, len(cfg.EncryptionKeys))
	for _, k := range cfg.EncryptionKeys {
		keys = append(keys, seal.Key(k))
	}
	keyring, err := seal.NewKeyring(keys)
	if err != nil {
		return nil, err
	}
	s, err := openStore(ctx, &databaseOptions{known: cfg.DatabaseURL}, std, func() *seal.Keyring { return keyring })
	if err != nil {
		return nil, err
	}
	defer s.Close()
	done := &reencryption{key: keyring.KeyID()}
	failure := done.walk(ctx, s)
	// What was done is told even if it was interrupted.
	if err := done.audit(context.WithoutCancel(ctx), s); err != nil {
		failure = errors.Join(failure, fmt.Errorf("write to the audit log: %w", err))
	}
	switch {
	case errors.Is(failure, context.Canceled):
		return nil, exitWith(exitInterrupted, "interrupted after %d deliveries were sealed anew; run it again for the rest", done.changed)
	case failure != nil:
		return nil, fmt.Errorf("%d deliveries were sealed anew, then: %w; run it again for the rest", done.changed, withCause(failure))
	}
	return done, nil
}

// walk seals anew what it can, and counts what it could not.
func (r *reencryption) walk(ctx context.Context, s *store.Store) error {
	for last := uuid.Nil; ; {
		changed, next, err := s.Reencrypt(ctx, last, reencryptBatch)
		r.changed += changed
		if errors.Is(err, seal.ErrUnknownKey) || errors.Is(err, seal.ErrDamaged) {
			// The others are not to wait for these.
			r.unopened, err = err, nil
		}
		if err != nil {
			return err
		}
		if next == uuid.Nil {
			break
		}
		last = next
	}
	left, err := s.KeysInUse(ctx)
	delete(left, r.key)
	r.left = left
	return err
}

func (r *reencryption) audit(ctx context.Context, s *store.Store) error {
	details := map[string]string{"deliveries": strconv.FormatInt(r.changed, 10)}
	if len(r.left) > 0 {
		left := int64(0)
		for _, n := range r.left {
			left += n
		}
		details["left"] = strconv.FormatInt(left, 10)
	}
	entry, err := verification.NewAuditEntry(verification.Scope{}, verification.Operator{Actor: commandActor()},
		verification.AuditReencrypt, r.key, details, time.Now())
	if err != nil {
		return err
	}
	return s.AddAudit(ctx, entry)
}

// problem says which deliveries are not under the first key, and what to do
// before an old key may go; nil when all are.
func (r *reencryption) problem(cfg *config.Config) error {
	if len(r.left) == 0 {
		return nil
	}
	configured := map[string]bool{}
	for _, k := range cfg.EncryptionKeys {
		configured[k.ID] = true
	}
	text := fmt.Sprintf("%d deliveries were sealed anew under the key %s; others are not under it, so remove no key yet:", r.changed, r.key)
	for _, key := range sortedKeys(r.left) {
		switch {
		case key == "":
			text += fmt.Sprintf("\n%d are not sealed: a node of an older release still stores them; end it and run this again", r.left[key])
		case !configured[key]:
			text += fmt.Sprintf("\n%d are sealed under the key %s, which encryption.keys lacks; put it back below the first key and run this again."+
				" Without it nobody can read them", r.left[key], key)
		case errors.Is(r.unopened, seal.ErrDamaged):
			text += fmt.Sprintf("\n%d are sealed under the key %s, and some do not open: the secret of that key is not the one that sealed them, or they were changed"+
				" (%v)", r.left[key], key, withCause(r.unopened))
		default:
			text += fmt.Sprintf("\n%d are sealed under the key %s: a node still seals with it; reload every node and run this again", r.left[key], key)
		}
	}
	return exitWith(exitFail, "%s", text)
}

// withCause shows what is behind an internal error to whoever runs the command;
// only callers over the network must not see it.
func withCause(err error) error {
	inner, ok := errors.AsType[*verification.Error](err)
	if ok && inner.Kind == verification.KindInternal && errors.Unwrap(inner) != nil {
		return errors.Unwrap(inner)
	}
	return err
}
