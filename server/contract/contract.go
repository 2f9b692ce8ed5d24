// Package contract says the domain's words in the messages of the Protobuf
// contract: one table for each list of words, and the Event that the stream,
// lists and callbacks share.
//
// It imports verification and generated code, and decides nothing.
package contract

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/verification"
)

// Version is the api_version of every Event.
const Version = "v1"

// Event says a record as everybody outside hears of it.
func Event(r *verification.Record) *verigatev1.Event {
	return &verigatev1.Event{
		Id: r.EventID(), ApiVersion: Version, Kind: Kind(r.Event), VerificationId: r.VerificationID.String(), Flow: r.Flow,
		State: State(r.To), Result: Result(r.To.Result()), PreviousState: State(r.From), Version: r.Version,
		ReasonCodes: r.ReasonCodes, Match: Match(r.Match), Source: Source(r.Source),
		Terminal: r.To.Terminal(), Revision: r.Revision(), CreateTime: Timestamp(r.CreateTime),
		Environment: string(r.Scope.Environment),
	}
}

// Timestamp is absent for the zero time.
func Timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
