package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/verigate/verigate/gen/sqlc"
)

// statement calls one generated query, and keeps what it returns.
type statement func(db sqlc.DBTX) error

// sending is a connection that statements can be sent on together.
type sending interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// plainly is a statement without arguments that is not among the generated ones.
func plainly(ctx context.Context, text string) statement {
	return func(db sqlc.DBTX) error {
		_, err := db.Exec(ctx, text)
		return err
	}
}

// inOneTrip sends statements together and waits for their answers once. None may
// depend on another's answer. Each is called twice: first to say what it sends,
// with an error instead of an answer, and then to take its answer.
func inOneTrip(ctx context.Context, db sending, statements ...statement) error {
	sending := &sender{}
	for _, s := range statements {
		if err := s(sending); !errors.Is(err, errSent) {
			return errNotSent
		}
	}
	if sending.batch.Len() == 0 {
		return nil
	}
	receiving := receiver{db.SendBatch(ctx, &sending.batch)}
	var err error
	for _, s := range statements {
		if err = s(receiving); err != nil {
			break
		}
	}
	closeErr := receiving.answers.Close()
	if err != nil {
		// The other answers only say that there was one like it.
		return err
	}
	return closeErr
}

var (
	// errSent is what a statement gets that was put with the others.
	errSent = errors.New("the statement will be sent")
	// errNotSent says that a statement asked nothing, or more than once.
	errNotSent = errors.New("a statement of a trip was not sent")
)

// sender puts statements together.
type sender struct{ batch pgx.Batch }

var _ sqlc.DBTX = (*sender)(nil)

func (s *sender) Exec(_ context.Context, statement string, args ...any) (pgconn.CommandTag, error) {
	s.batch.Queue(statement, args...)
	return pgconn.CommandTag{}, errSent
}

func (s *sender) Query(_ context.Context, statement string, args ...any) (pgx.Rows, error) {
	s.batch.Queue(statement, args...)
	return nil, errSent
}

// QueryRow is not used: a row cannot say that it will come later.
func (*sender) QueryRow(context.Context, string, ...any) pgx.Row { return noRow{} }

type noRow struct{}

func (noRow) Scan(...any) error { return errNotSent }

// receiver hands the answers out, in the order in which the statements were sent.
type receiver struct{ answers pgx.BatchResults }

var _ sqlc.DBTX = receiver{}

func (r receiver) Exec(context.Context, string, ...any) (pgconn.CommandTag, error) {
	return r.answers.Exec()
}

func (r receiver) Query(context.Context, string, ...any) (pgx.Rows, error) { return r.answers.Query() }

func (r receiver) QueryRow(context.Context, string, ...any) pgx.Row { return r.answers.QueryRow() }
