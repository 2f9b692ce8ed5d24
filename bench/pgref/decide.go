package pgref

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/bench/hook"
	"github.com/verigate/verigate/bench/rig"
	"github.com/verigate/verigate/gen/sqlc"
)

// counter gives each transaction a verification of its own: client c decides
// first+c, first+c+clients and so on.
const counter = `\set n :first + :turn * :clients + :client_id
\set turn :turn + 1
`

// sealOverhead is what sealing adds to headers and to a body, in bytes: the key's
// id, a nonce and a tag (package server/seal).
const sealOverhead = 40

// Script is something that pgbench runs.
type Script struct {
	// Name is what tables call it.
	Name string
	text string
	// fixed are the values of the script's variables fixed0, fixed1 …
	fixed []string
}

// Text returns the script itself.
func (s Script) Text() string { return s.text }

// Stand-ins for what differs in each transaction.
const (
	standToken        = "stand-in: token"
	standVerification = "stand-in: verification"
	standDedupe       = "stand-in: dedupe key"
	standErased       = "stand-in: erased form"
)

// Decide returns the script that decides one pending verification of the set in
// each transaction, statement by statement, as the gateway does for a delivery
// that comes alone.
func Decide(set rig.Set, now time.Time) (Script, error) {
	verificationID, deliveryID := uuid.New(), uuid.New()
	deliveries := rig.Set{Number: set.Number, Time: now}
	hash := func(word string) string {
		return "encode(sha256(convert_to('" + word + "' || :n, 'UTF8')), 'hex')"
	}
	token := "encode(sha256(convert_to(" + set.NameSQL(rig.KindToken, ":n::bigint") + ", 'UTF8')), 'hex')"
	r := &recorder{each: map[string]string{
		verificationID.String(): set.IDSQL(":n::bigint"),
		deliveryID.String():     deliveries.IDSQL(":n::bigint"),
		standToken:              "('token' || chr(58) || " + token + ")",
		standVerification:       "('verification' || chr(58) || " + set.NameSQL(rig.KindVerification, ":n::bigint") + ")",
		standDedupe:             hash("d"),
		standErased:             "('erased' || chr(58) || " + hash("e") + ")",
	}}
	r.script.WriteString(counter + "BEGIN;\n")
	r.decide(set, verificationID, deliveryID, now)
	r.script.WriteString("COMMIT;\n")
	return Script{Name: "pgbench, one by one", text: r.script.String(), fixed: r.fixed}, r.err
}

// decide calls what the gateway calls, in its order.
func (r *recorder) decide(set rig.Set, verificationID, deliveryID uuid.UUID, now time.Time) {
	ctx, q := context.Background(), sqlc.New()
	expire := set.Time.Add(30 * 24 * time.Hour)
	body := hook.NewMaker(set, "", "").Body(0, now)
	headers := `{"Content-Type":"application/json","User-Agent":"VerifyHuman-Webhooks/1.0","X-Verifyhuman-Delivery-Id":"d1234567",` +
		`"X-Verifyhuman-Environment":"test","X-Verifyhuman-Event":"verification.completed","X-Verifyhuman-Event-Id":"` + set.Name(rig.KindEvent, 0) + `","X-Verifyhuman-Timestamp":"1770000000"}`
	inserted, err := q.SeenInsert(ctx, r, sqlc.SeenInsertParams{
		Connection: set.Connection, DedupeKey: standDedupe, DeliveryID: deliveryID, CreateTime: now,
	})
	r.expect(inserted, err)
	_, err = q.ProviderRefFind(ctx, r, sqlc.ProviderRefFindParams{
		Connection: set.Connection, Refs: []string{standToken, standVerification, standErased, standErased},
	})
	r.expect(0, err)
	_, err = q.VerificationLock(ctx, r, sqlc.VerificationLockParams{ID: verificationID, Project: set.Project, Environment: rig.Environment})
	r.expect(0, err)
	inserted, err = q.ProviderRefInsert(ctx, r, sqlc.ProviderRefInsertParams{
		Connection: set.Connection, Ref: standVerification, ErasedRef: standErased,
		VerificationID: verificationID, Match: "exact", CreateTime: now,
	})
	r.expect(inserted, err)
	inserted, err = q.VerificationUpdateIfVersion(ctx, r, sqlc.VerificationUpdateIfVersionParams{
		ID: verificationID, Project: set.Project, Environment: rig.Environment, OldVersion: 2,
		State: "approved", Version: 3, ReasonCodes: []string{}, Match: "exact",
		HostedUrl:  "https://provider.invalid/hosted/" + set.Name(rig.KindToken, 0),
		UpdateTime: now, ExpireTime: expire, GraceUntil: expire.Add(24 * time.Hour), PageUntil: expire, BindTime: &now, FinalTime: &now,
	})
	r.expect(inserted, err)
	r.expect(0, q.TransitionInsert(ctx, r, sqlc.TransitionInsertParams{
		VerificationID: verificationID, Version: 3, Project: set.Project, Environment: rig.Environment,
		FromState: "pending", ToState: "approved", Event: "passed", Source: "provider", Rung: "payload_key", Match: "exact",
		ReasonCodes: []string{}, DeliveryID: uuid.NullUUID{UUID: deliveryID, Valid: true}, CreateTime: now,
	}))
	r.expect(0, q.DeliveryInsert(ctx, r, sqlc.DeliveryInsertParams{
		ID: deliveryID, Project: set.Project, Environment: rig.Environment, Connection: set.Connection, ReceiveTime: now,
		Headers: []byte(strings.Repeat("h", len(headers)+sealOverhead)), Body: []byte(strings.Repeat("b", len(body)+sealOverhead)), KeyID: "bench",
		DedupeKey: standDedupe, ProviderEvent: "verification.completed", ProviderStatus: "PASS", Event: "passed", Product: set.Product,
		Keys: []string{standToken}, Refs: []string{standVerification}, ReasonCodes: []string{}, ProviderTime: &now,
		Effect: "applied", VerificationID: uuid.NullUUID{UUID: verificationID, Valid: true}, ApplyTime: &now,
	}))
}

// expect remembers an error that is not the recorder's own.
func (r *recorder) expect(_ int64, err error) {
	if !errors.Is(err, errRecorded) {
		r.err = errors.Join(r.err, errors.New("a generated method did not end at its statement"), err)
	}
}

// Bare returns the script that inserts one row with a body of the same size, and
// the statement that makes its table.
func Bare(set rig.Set, now time.Time) (script Script, setUp string) {
	body := hook.NewMaker(set, "", "").Body(0, now)
	return Script{
		Name:  "pgbench, bare insert",
		text:  counter + "INSERT INTO " + rig.BareTable + " (id, body) VALUES (:n, :fixed0);\n",
		fixed: []string{strings.Repeat("b", len(body))},
	}, "CREATE TABLE IF NOT EXISTS " + rig.BareTable + " (id bigint PRIMARY KEY, body bytea NOT NULL)"
}
