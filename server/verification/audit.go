package verification

import (
	"time"

	"github.com/google/uuid"
)

// AuditAction is what an operator did.
type AuditAction string

// The actions.
const (
	AuditKeyCreate   AuditAction = "api_key.create"
	AuditKeyRotate   AuditAction = "api_key.rotate"
	AuditKeyRevoke   AuditAction = "api_key.revoke"
	AuditErase       AuditAction = "subject.erase"
	AuditOverride    AuditAction = "verification.override"
	AuditRead        AuditAction = "delivery.read"
	AuditReplay      AuditAction = "delivery.replay"
	AuditBind        AuditAction = "delivery.bind"
	AuditRetry       AuditAction = "callback.retry"
	AuditReencrypt   AuditAction = "deliveries.reencrypt"
	AuditStart       AuditAction = "gateway.start"
	AuditReload      AuditAction = "configuration.reload"
	AuditReloadError AuditAction = "configuration.refuse"
)

// Operator is who does something that the audit log remembers.
type Operator struct {
	// Actor is `key:<id>`, `command:<user>@<host>` or `signal`.
	Actor string
	// Address is where a call came from; empty for commands and signals.
	Address string
	// RequestID is the id that logs carry; empty for commands and signals.
	RequestID string
}

// AuditEntry says who did what, when and from where. It is written in the
// transaction of what it tells, and never changed. Nothing in it is personal
// but the operator's own traces.
type AuditEntry struct {
	ID uuid.UUID
	// Scope is zero for what concerns the whole gateway.
	Scope      Scope
	CreateTime time.Time
	Operator   Operator
	Action     AuditAction
	// Target is the id of what it was done to.
	Target  string
	Details map[string]string
}

// NewAuditEntry makes an entry. Its id sorts by time.
func NewAuditEntry(scope Scope, by Operator, action AuditAction, target string, details map[string]string, now time.Time) (*AuditEntry, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, NewError(KindInternal, "INTERNAL", "internal error").WithCause(err)
	}
	return &AuditEntry{
		ID: id, Scope: scope, CreateTime: now, Operator: by, Action: action, Target: target, Details: details,
	}, nil
}

// AuditQuery selects entries of a scope and of the whole gateway.
type AuditQuery struct {
	Scope Scope
	// Action and Target select; empty means all.
	Action string
	Target string
	// Before is the id after which the page starts, going back in time; zero
	// for the first page.
	Before uuid.UUID
	Limit  int
}
