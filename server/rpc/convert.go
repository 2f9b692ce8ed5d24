package rpc

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/verification"
)

var protoStates = map[verification.State]verigatev1.VerificationState{
	verification.Created:    verigatev1.VerificationState_VERIFICATION_STATE_CREATED,
	verification.Pending:    verigatev1.VerificationState_VERIFICATION_STATE_PENDING,
	verification.Processing: verigatev1.VerificationState_VERIFICATION_STATE_PROCESSING,
	verification.InReview:   verigatev1.VerificationState_VERIFICATION_STATE_IN_REVIEW,
	verification.Approved:   verigatev1.VerificationState_VERIFICATION_STATE_APPROVED,
	verification.Declined:   verigatev1.VerificationState_VERIFICATION_STATE_DECLINED,
	verification.Expired:    verigatev1.VerificationState_VERIFICATION_STATE_EXPIRED,
	verification.Canceled:   verigatev1.VerificationState_VERIFICATION_STATE_CANCELED,
	verification.Failed:     verigatev1.VerificationState_VERIFICATION_STATE_FAILED,
}

var protoResults = map[verification.Result]verigatev1.VerificationResult{
	verification.ResultPending: verigatev1.VerificationResult_VERIFICATION_RESULT_PENDING,
	verification.ResultPass:    verigatev1.VerificationResult_VERIFICATION_RESULT_PASS,
	verification.ResultFail:    verigatev1.VerificationResult_VERIFICATION_RESULT_FAIL,
}

var protoMatches = map[verification.Match]verigatev1.VerificationMatch{
	verification.NoMatch:  verigatev1.VerificationMatch_VERIFICATION_MATCH_UNSPECIFIED,
	verification.Exact:    verigatev1.VerificationMatch_VERIFICATION_MATCH_EXACT,
	verification.Inferred: verigatev1.VerificationMatch_VERIFICATION_MATCH_INFERRED,
	verification.Bound:    verigatev1.VerificationMatch_VERIFICATION_MATCH_BOUND,
}

func toState(s verigatev1.VerificationState) verification.State {
	for state, proto := range protoStates {
		if proto == s {
			return state
		}
	}
	return ""
}

// toProto shows a verification to a principal: an app sees less than a backend.
func toProto(v *verification.Verification, p access.Principal) *verigatev1.Verification {
	shown := &verigatev1.Verification{
		Id: v.ID.String(), Flow: v.Flow, Subject: v.Subject, Reference: v.Reference,
		State: protoStates[v.State], Result: protoResults[v.Result()], Version: v.Version,
		ReasonCodes: v.ReasonCodes, Match: protoMatches[v.Match],
		CreateTime: timestamp(v.CreateTime), UpdateTime: timestamp(v.UpdateTime), ExpireTime: timestamp(v.ExpireTime),
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
		State: protoStates[v.State], Result: protoResults[v.Result()], Version: v.Version,
		ReasonCodes: v.ReasonCodes, UpdateTime: timestamp(v.UpdateTime), Terminal: v.State.Terminal(),
	}
}

func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
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
