//go:build linux || darwin

package pgdev

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/verigate/verigate/server/pgdev/pgbin"
)

// Start makes the cluster if there is none, starts it, and returns when it
// takes connections. Canceling ctx during Start undoes what was begun; after
// Start has returned it has no effect. Errors: ErrInUse, ErrUnsupported, no
// usable Postgres (says how to get one), a database that does not come up
// (with the end of its log).
func Start(ctx context.Context, opts Options) (*Server, error) {
	return start(ctx, opts, pgbin.NewFinder())
}

func start(ctx context.Context, opts Options, finder pgbin.Finder) (_ *Server, err error) {
	opts, err = opts.withDefaults()
	if err != nil {
		return nil, err
	}
	who, err := chooseAccount()
	if err != nil {
		return nil, err
	}
	place, err := openHome(ctx, opts, who)
	if err != nil {
		return nil, err
	}
	server, err := startIn(ctx, place, opts, finder)
	if err != nil {
		return nil, errors.Join(err, place.close())
	}
	return server, nil
}

func startIn(ctx context.Context, place *home, opts Options, finder pgbin.Finder) (*Server, error) {
	if err := stopOrphan(ctx, place.cluster, opts.Log); err != nil {
		return nil, err
	}
	if err := place.forget(); err != nil {
		return nil, err
	}
	major, err := place.major()
	if err != nil {
		return nil, err
	}
	finder.Prepare = place.account.prepare
	finder.Progress = opts.Progress
	bins, err := finder.Find(ctx, major)
	if err != nil {
		return nil, fmt.Errorf("finding Postgres for %s: %w", place.dataDir, err)
	}
	if major == 0 {
		if err := makeCluster(ctx, place, bins, opts); err != nil {
			return nil, err
		}
	}
	if err := place.chooseSockets(ctx); err != nil {
		return nil, err
	}
	proc, err := run(ctx, place, bins, settings(place.sockets, opts))
	if err != nil {
		return nil, err
	}
	opts.Log.Info("pgdev: database started",
		slog.String("directory", place.cluster), slog.String("version", bins.Version))
	return &Server{
		dsn:    dsn(place.sockets),
		binDir: bins.Dir,
		done:   proc.done,
		stop: func(ctx context.Context) error {
			return errors.Join(proc.stop(ctx), place.close())
		},
	}, nil
}
