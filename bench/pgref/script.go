// Package pgref owns the references that pgbench runs: the statements of the
// gateway's one-by-one path, and a bare insert.
//
//	sqlc's methods ─► recorder (SQL and arguments) ─► pgbench script ─► tps
//
// The statements are asked of the generated code itself, called on a database
// that only writes down what it is told, so they cannot drift from what the
// gateway runs.
package pgref

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// errRecorded ends a generated method after its statement was written down.
var errRecorded = errors.New("only recorded")

// recorder is a database that turns what it is told into a pgbench script.
type recorder struct {
	script strings.Builder
	// each maps an argument that differs in each transaction to its expression.
	each map[string]string
	// fixed are the arguments that do not, in order; they become pgbench
	// variables.
	fixed []string
	err   error
}

// Exec implements sqlc.DBTX.
func (r *recorder) Exec(_ context.Context, sql string, arguments ...any) (pgconn.CommandTag, error) {
	r.add(sql, arguments)
	return pgconn.CommandTag{}, errRecorded
}

// Query implements sqlc.DBTX.
func (r *recorder) Query(_ context.Context, sql string, arguments ...any) (pgx.Rows, error) {
	r.add(sql, arguments)
	return nil, errRecorded
}

// QueryRow implements sqlc.DBTX.
func (r *recorder) QueryRow(_ context.Context, sql string, arguments ...any) pgx.Row {
	r.add(sql, arguments)
	return noRow{}
}

type noRow struct{}

func (noRow) Scan(...any) error { return errRecorded }

var placeholder = regexp.MustCompile(`\$[0-9]+`)

// add writes one statement with its arguments in place. Comments go: pgbench
// would take a word after a colon for a variable.
func (r *recorder) add(sql string, arguments []any) {
	var plain strings.Builder
	for line := range strings.Lines(sql) {
		if !strings.HasPrefix(strings.TrimSpace(line), "--") {
			plain.WriteString(line)
		}
	}
	r.script.WriteString(placeholder.ReplaceAllStringFunc(strings.TrimSpace(plain.String()), func(text string) string {
		n, err := strconv.Atoi(text[1:])
		if err != nil || n < 1 || n > len(arguments) {
			r.err = errors.Join(r.err, fmt.Errorf("a statement asks for %s and has %d arguments", text, len(arguments)))
			return text
		}
		return r.place(arguments[n-1])
	}))
	r.script.WriteString(";\n")
}

// place returns what stands for an argument.
func (r *recorder) place(argument any) string {
	if list, ok := argument.([]string); ok && len(list) > 0 {
		elements := make([]string, 0, len(list))
		for _, e := range list {
			elements = append(elements, r.place(e))
		}
		return "ARRAY[" + strings.Join(elements, ", ") + "]::text[]"
	}
	text, null, err := literal(argument)
	switch {
	case err != nil:
		r.err = errors.Join(r.err, err)
		return "NULL"
	case null:
		return "NULL"
	case text == "":
		return "''" // no pgbench variable can be empty
	}
	if expression, ok := r.each[text]; ok {
		return expression
	}
	r.fixed = append(r.fixed, text)
	return ":" + variable(len(r.fixed)-1)
}

// variable is the name of a fixed argument in the script.
func variable(i int) string { return "fixed" + strconv.Itoa(i) }

// literal returns the text form of an argument, as Postgres reads it.
func literal(argument any) (text string, null bool, err error) {
	switch a := argument.(type) {
	case nil:
		return "", true, nil
	case string:
		return a, false, nil
	case []string:
		return "{}", false, nil
	case []byte:
		return `\x` + hex.EncodeToString(a), a == nil, nil
	case int64, int32, bool:
		return fmt.Sprint(a), false, nil
	case uuid.UUID:
		return a.String(), false, nil
	case uuid.NullUUID:
		return a.UUID.String(), !a.Valid, nil
	case time.Time:
		return a.UTC().Format(time.RFC3339Nano), false, nil
	case *time.Time:
		if a == nil {
			return "", true, nil
		}
		return a.UTC().Format(time.RFC3339Nano), false, nil
	case pgtype.Text:
		return a.String, !a.Valid, nil
	default:
		return "", false, fmt.Errorf("no pgbench form is known of an argument of type %T; add it to bench/pgref", argument)
	}
}
