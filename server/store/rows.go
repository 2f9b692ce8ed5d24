package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/verigate/verigate/gen/sqlc"
	"github.com/verigate/verigate/server/verification"
)

func toVerification(r sqlc.Verification) (*verification.Verification, error) {
	v := &verification.Verification{
		ID:    r.ID,
		Scope: verification.Scope{Project: r.Project, Environment: verification.Environment(r.Environment)},
		Flow:  r.Flow, Connection: r.Connection, Product: r.Product,
		Subject: r.Subject, Reference: r.Reference,
		State: verification.State(r.State), Version: r.Version,
		ReasonCodes: r.ReasonCodes, Match: verification.Match(r.Match),
		HostedURL: r.HostedUrl, RedirectURL: r.RedirectUrl, FailureRedirectURL: r.FailureRedirectUrl,
		CallbackURL: r.CallbackUrl, EventsCallbackURL: r.EventsCallbackUrl,
		NonceHash: r.NonceHash, Lane: r.Lane.String,
		CreateTime: r.CreateTime, UpdateTime: r.UpdateTime, ExpireTime: r.ExpireTime, GraceUntil: r.GraceUntil, PageUntil: r.PageUntil,
		ReturnTime: fromNullable(r.ReturnTime), BindTime: fromNullable(r.BindTime), FinalTime: fromNullable(r.FinalTime),
		EraseTime: fromNullable(r.EraseTime), FetchTime: fromNullable(r.FetchTime), Fetches: int(r.Fetches),
	}
	return v, readJSON("metadata", r.Metadata, &v.Metadata)
}

func toVerifications(rows []sqlc.Verification) ([]*verification.Verification, error) {
	vs := make([]*verification.Verification, 0, len(rows))
	for _, row := range rows {
		v, err := toVerification(row)
		if err != nil {
			return nil, err
		}
		vs = append(vs, v)
	}
	return vs, nil
}

func insertParams(v *verification.Verification) (sqlc.VerificationInsertParams, error) {
	metadata, err := json.Marshal(notNil(v.Metadata))
	return sqlc.VerificationInsertParams{
		ID: v.ID, Project: v.Scope.Project, Environment: string(v.Scope.Environment),
		Flow: v.Flow, Connection: v.Connection, Product: v.Product,
		Subject: v.Subject, Reference: v.Reference, Metadata: metadata,
		State: string(v.State), Version: v.Version,
		HostedUrl: v.HostedURL, RedirectUrl: v.RedirectURL, FailureRedirectUrl: v.FailureRedirectURL,
		CallbackUrl: v.CallbackURL, EventsCallbackUrl: v.EventsCallbackURL,
		NonceHash: v.NonceHash, Lane: lane(v.Lane),
		CreateTime: v.CreateTime, UpdateTime: v.UpdateTime, ExpireTime: v.ExpireTime, GraceUntil: v.GraceUntil, PageUntil: v.PageUntil,
	}, err
}

func updateParams(v *verification.Verification, oldVersion int64) sqlc.VerificationUpdateIfVersionParams {
	return sqlc.VerificationUpdateIfVersionParams{
		ID: v.ID, Project: v.Scope.Project, Environment: string(v.Scope.Environment), OldVersion: oldVersion,
		State: string(v.State), Version: v.Version, ReasonCodes: codes(v.ReasonCodes), Match: string(v.Match),
		HostedUrl: v.HostedURL, Lane: lane(v.Lane),
		UpdateTime: v.UpdateTime, ExpireTime: v.ExpireTime, GraceUntil: v.GraceUntil, PageUntil: v.PageUntil,
		ReturnTime: nullable(v.ReturnTime), BindTime: nullable(v.BindTime), FinalTime: nullable(v.FinalTime),
		FetchTime: nullable(v.FetchTime), Fetches: int32(v.Fetches),
	}
}

func transitionParams(t *verification.Transition) sqlc.TransitionInsertParams {
	return sqlc.TransitionInsertParams{
		VerificationID: t.VerificationID, Version: t.Version,
		Project: t.Scope.Project, Environment: string(t.Scope.Environment),
		FromState: string(t.From), ToState: string(t.To), Event: string(t.Event), Source: string(t.Source),
		Rung: string(t.Rung), Match: string(t.Match), ReasonCodes: codes(t.ReasonCodes), Reason: t.Reason,
		DeliveryID: nullableID(t.DeliveryID), CreateTime: t.CreateTime,
	}
}

func toTransition(r sqlc.Transition) *verification.Transition {
	return &verification.Transition{
		VerificationID: r.VerificationID, Version: r.Version,
		Scope: verification.Scope{Project: r.Project, Environment: verification.Environment(r.Environment)},
		From:  verification.State(r.FromState), To: verification.State(r.ToState),
		Event: verification.EventKind(r.Event), Source: verification.Source(r.Source),
		Rung: verification.Rung(r.Rung), Match: verification.Match(r.Match),
		ReasonCodes: r.ReasonCodes, Reason: r.Reason,
		DeliveryID: r.DeliveryID.UUID, CreateTime: r.CreateTime,
	}
}

// deliveryParams leaves the content to whoever seals it.
func deliveryParams(d *verification.Delivery, now time.Time) sqlc.DeliveryInsertParams {
	return sqlc.DeliveryInsertParams{
		ID: d.ID, Project: d.Scope.Project, Environment: string(d.Scope.Environment), Connection: d.Connection,
		ReceiveTime: d.ReceiveTime, DedupeKey: hashedKey(d.DedupeKey), ProviderEvent: d.ProviderEvent, ProviderStatus: d.ProviderStatus,
		Event: string(d.Event.Kind), Product: d.Event.Product,
		Keys: codes(d.Event.Keys), Refs: codes(d.Event.Refs), NamedID: d.Event.VerificationID,
		ReasonCodes: codes(d.Event.ReasonCodes), ProviderTime: nullable(d.Event.ProviderTime),
		Effect: string(d.Effect), VerificationID: nullableID(d.VerificationID), ApplyTime: &now,
	}
}

func toParked(r sqlc.DeliveryLockIfParkedRow) *verification.Delivery {
	return &verification.Delivery{
		ID:         r.ID,
		Scope:      verification.Scope{Project: r.Project, Environment: verification.Environment(r.Environment)},
		Connection: r.Connection, ReceiveTime: r.ReceiveTime,
		DedupeKey: r.DedupeKey, ProviderEvent: r.ProviderEvent, ProviderStatus: r.ProviderStatus,
		Event: verification.Event{
			Kind: verification.EventKind(r.Event), Product: r.Product, Keys: r.Keys, Refs: r.Refs,
			VerificationID: r.NamedID, ReasonCodes: r.ReasonCodes, ProviderTime: fromNullable(r.ProviderTime),
		},
		Effect: verification.Unmatched,
	}
}

// toBare returns a row that was read without its content.
func toBare(r sqlc.DeliveryGetBareRow) *verification.Delivery {
	d := toParked(sqlc.DeliveryLockIfParkedRow{
		ID: r.ID, Project: r.Project, Environment: r.Environment, Connection: r.Connection, ReceiveTime: r.ReceiveTime,
		DedupeKey: r.DedupeKey, ProviderEvent: r.ProviderEvent, ProviderStatus: r.ProviderStatus, Event: r.Event, Product: r.Product,
		Keys: r.Keys, Refs: r.Refs, NamedID: r.NamedID, ReasonCodes: r.ReasonCodes, ProviderTime: r.ProviderTime,
	})
	d.Effect, d.VerificationID = verification.Effect(r.Effect), r.VerificationID.UUID
	d.ApplyTime, d.Emptied = fromNullable(r.ApplyTime), r.PurgeTime != nil
	return d
}

// toDelivery does the same for a row with its content, which stays in the row.
func toDelivery(r sqlc.Delivery) *verification.Delivery {
	return toBare(sqlc.DeliveryGetBareRow{
		ID: r.ID, Project: r.Project, Environment: r.Environment, Connection: r.Connection, ReceiveTime: r.ReceiveTime,
		DedupeKey: r.DedupeKey, ProviderEvent: r.ProviderEvent, ProviderStatus: r.ProviderStatus, Event: r.Event, Product: r.Product,
		Keys: r.Keys, Refs: r.Refs, NamedID: r.NamedID, ReasonCodes: r.ReasonCodes, ProviderTime: r.ProviderTime,
		Effect: r.Effect, VerificationID: r.VerificationID, ApplyTime: r.ApplyTime, PurgeTime: r.PurgeTime,
	})
}

// errUnreadableRow says that a column holds what this code never wrote. It is
// for the log and names the column, never its content.
var errUnreadableRow = errors.New("a stored row cannot be read")

func readJSON(column string, raw []byte, into *map[string]string) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("%w: column %s", errUnreadableRow, column)
	}
	return nil
}

// The columns are NOT NULL: an absent list is an empty one.
func codes(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func notNil(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

func lane(name string) pgtype.Text { return pgtype.Text{String: name, Valid: name != ""} }

func nullable(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func fromNullable(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

func nullableID(id uuid.UUID) uuid.NullUUID {
	return uuid.NullUUID{UUID: id, Valid: id != uuid.Nil}
}
