package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/verigate/verigate/server/secret"
)

// Channel is the channel of Postgres that hints go through. Channels belong to a
// database, so gateways on different ones do not hear each other.
const Channel = "verigate_hints_v1"

const (
	// pingInterval is how long the listening connection is trusted in silence, and
	// pingPatience how long it then has to answer: a dead one looks like a quiet
	// one.
	pingInterval = 5 * time.Second
	pingPatience = 5 * time.Second
	// closePatience bounds the farewell to the database.
	closePatience = time.Second
)

// errBadDSN is all that is said: pgx's own text may repeat parts of the DSN.
var errBadDSN = errors.New("bus.postgres.database_url: not a valid Postgres URL; write postgres://user:password@host:5432/name")

// postgres listens on one connection of its own.
type postgres struct {
	config *pgx.ConnConfig
	notify func(ctx context.Context, channel string, messages []string) error
}

// Postgres returns a carrier that listens on a connection of its own to dsn,
// which must reach the database itself, or a pooler that keeps one session per
// client. notify sends: it notifies the channel with each message, in a
// transaction that does nothing else. The error is a DSN that cannot be read.
func Postgres(dsn secret.Value, notify func(ctx context.Context, channel string, messages []string) error) (Carrier, error) {
	// The pool's reading takes the pool's settings out of what is sent to the
	// server, which would refuse them.
	pool, err := pgxpool.ParseConfig(dsn.Reveal())
	if err != nil {
		return nil, errBadDSN
	}
	config := pool.ConnConfig
	config.ConnectTimeout = pingPatience
	if _, set := config.RuntimeParams["application_name"]; !set {
		config.RuntimeParams["application_name"] = "verigate bus"
	}
	return &postgres{config: config, notify: notify}, nil
}

func (*postgres) name() string { return "postgres" }

func (*postgres) remedy() string {
	return "a pooler that shares sessions loses LISTEN: name the database itself in bus.postgres.database_url"
}

func (p *postgres) send(ctx context.Context, messages []string) error {
	return p.notify(ctx, Channel, messages)
}

func (p *postgres) listen(ctx context.Context, subscribed func() error, deliver func(string), _ func()) error {
	conn, err := pgx.ConnectConfig(ctx, p.config.Copy())
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closePatience)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	if err := within(ctx, func(ctx context.Context) error {
		_, err := conn.Exec(ctx, "LISTEN "+Channel)
		return err
	}); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if err := subscribed(); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	for {
		if err := next(ctx, conn, deliver); err != nil {
			return err
		}
	}
}

// next delivers one notification, or finds after some silence that the
// connection still lives.
func next(ctx context.Context, conn *pgx.Conn, deliver func(string)) error {
	waiting, cancel := context.WithTimeout(ctx, pingInterval)
	defer cancel()
	notification, err := conn.WaitForNotification(waiting)
	if notification != nil && notification.Channel == Channel {
		deliver(notification.Payload)
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case waiting.Err() == nil || conn.IsClosed():
		return fmt.Errorf("wait for a notification: %w", err)
	}
	if err := within(ctx, conn.Ping); err != nil {
		return fmt.Errorf("the listening connection does not answer: %w", err)
	}
	return nil
}

// within gives a statement on the listening connection its time.
func within(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, pingPatience)
	defer cancel()
	return do(ctx)
}
