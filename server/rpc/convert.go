package rpc

import (
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/contract"
	"github.com/verigate/verigate/server/verification"
)

// toProto shows a verification to a principal: an app sees less than a backend.
func toProto(v *verification.Verification, p access.Principal) *verigatev1.Verification {
	shown := &verigatev1.Verification{
		Id: v.ID.String(), Flow: v.Flow, Subject: v.Subject, Reference: v.Reference,
		State: contract.State(v.State), Result: contract.Result(v.Result()), Version: v.Version,
		ReasonCodes: v.ReasonCodes, Match: contract.Match(v.Match),
		CreateTime: contract.Timestamp(v.CreateTime), UpdateTime: contract.Timestamp(v.UpdateTime), ExpireTime: contract.Timestamp(v.ExpireTime),
		Environment: string(v.Scope.Environment),
	}
	if p.IsKey() {
		shown.Metadata = v.Metadata
	}
	if (p.IsKey() || p.IsEndUser()) && !v.State.Terminal() {
		shown.HostedUrl = v.HostedURL
	}
	return shown
}

// status is what a phone may see of a verification, and what an open stream
// keeps of it.
type status struct {
	id          uuid.UUID
	state       verification.State
	version     int64
	reasonCodes []string
	// updated is in microseconds since 1970: as exact as the database keeps it, so
	// that a state looks the same whichever way it came.
	updated int64
}

// statusOf says where a verification stands.
func statusOf(v *verification.Verification) status {
	return status{
		id: v.ID, state: v.State, version: v.Version, reasonCodes: v.ReasonCodes,
		updated: v.UpdateTime.UnixMicro(),
	}
}

// update says a status in a message.
func (s *status) update(kind verigatev1.StatusUpdateKind) *verigatev1.StatusUpdate {
	return &verigatev1.StatusUpdate{
		Kind: kind, VerificationId: s.id.String(),
		State: contract.State(s.state), Result: contract.Result(s.state.Result()), Version: s.version,
		ReasonCodes: s.reasonCodes, UpdateTime: timestamppb.New(time.UnixMicro(s.updated)), Terminal: s.state.Terminal(),
	}
}

func toUserData(u *verigatev1.UserData) *verification.UserData {
	if u == nil {
		return nil
	}
	data := &verification.UserData{
		FirstName: u.GetFirstName(), MiddleName: u.GetMiddleName(), LastName: u.GetLastName(),
		DateOfBirth: u.GetDateOfBirth(), PhoneNumber: u.GetPhoneNumber(), EmailAddress: u.GetEmailAddress(), IPAddress: u.GetIpAddress(),
	}
	if a := u.GetAddress(); a != nil {
		data.Address = &verification.Address{
			Street1: a.GetStreet_1(), Street2: a.GetStreet_2(), City: a.GetCity(),
			State: a.GetState(), ZipCode: a.GetZipCode(), Country: a.GetCountry(),
		}
	}
	return data
}
