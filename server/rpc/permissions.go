package rpc

import (
	"github.com/google/uuid"

	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/access"
)

// permission says who may make a call.
type permission struct {
	// scope is what an API key needs.
	scope access.KeyScope
	// client tokens, end users: may they?
	client, endUser bool
}

// permissions has every procedure; what is not here is refused.
var permissions = map[string]permission{
	verigatev1connect.VerificationServiceStartVerificationProcedure:  {scope: access.VerificationsWrite, endUser: true},
	verigatev1connect.VerificationServiceGetVerificationProcedure:    {scope: access.VerificationsRead, client: true, endUser: true},
	verigatev1connect.VerificationServiceListVerificationsProcedure:  {scope: access.VerificationsRead},
	verigatev1connect.VerificationServiceCancelVerificationProcedure: {scope: access.VerificationsWrite},
	verigatev1connect.VerificationServiceWatchStatusProcedure:        {scope: access.VerificationsRead, client: true, endUser: true},

	verigatev1connect.EventServiceStreamEventsProcedure: {scope: access.EventsRead},
	verigatev1connect.EventServiceListEventsProcedure:   {scope: access.EventsRead},

	verigatev1connect.OperatorServiceCreateApiKeyProcedure:         {scope: access.OperatorScope},
	verigatev1connect.OperatorServiceListApiKeysProcedure:          {scope: access.OperatorScope},
	verigatev1connect.OperatorServiceRotateApiKeyProcedure:         {scope: access.OperatorScope},
	verigatev1connect.OperatorServiceRevokeApiKeyProcedure:         {scope: access.OperatorScope},
	verigatev1connect.OperatorServiceEraseSubjectProcedure:         {scope: access.OperatorScope},
	verigatev1connect.OperatorServiceListAuditEntriesProcedure:     {scope: access.OperatorScope},
	verigatev1connect.OperatorServiceGetTimelineProcedure:          {scope: access.OperatorScope},
	verigatev1connect.OperatorServiceOverrideVerificationProcedure: {scope: access.OperatorScope},
	verigatev1connect.OperatorServiceListDeliveriesProcedure:       {scope: access.OperatorScope},
	verigatev1connect.OperatorServiceGetDeliveryProcedure:          {scope: access.OperatorScope},
	verigatev1connect.OperatorServiceReplayDeliveryProcedure:       {scope: access.OperatorScope},
	verigatev1connect.OperatorServiceBindDeliveryProcedure:         {scope: access.OperatorScope},
	verigatev1connect.OperatorServiceListCallbacksProcedure:        {scope: access.OperatorScope},
	verigatev1connect.OperatorServiceGetCallbackProcedure:          {scope: access.OperatorScope},
	verigatev1connect.OperatorServiceRetryCallbackProcedure:        {scope: access.OperatorScope},
	verigatev1connect.OperatorServiceRetryDeadCallbacksProcedure:   {scope: access.OperatorScope},
}

func permits(procedure string, p access.Principal) bool {
	need, known := permissions[procedure]
	switch {
	case !known:
		return false
	case p.IsKey():
		return p.Has(need.scope)
	case p.IsEndUser():
		return need.endUser
	default:
		return need.client && p.VerificationID != uuid.Nil
	}
}
