package rpc

import (
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

// toUpdate is what a phone may see.
func toUpdate(v *verification.Verification, kind verigatev1.StatusUpdateKind) *verigatev1.StatusUpdate {
	return &verigatev1.StatusUpdate{
		Kind: kind, VerificationId: v.ID.String(),
		State: contract.State(v.State), Result: contract.Result(v.Result()), Version: v.Version,
		ReasonCodes: v.ReasonCodes, UpdateTime: contract.Timestamp(v.UpdateTime), Terminal: v.State.Terminal(),
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
