package sandbox

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// aipriseEnvironment is the environment of every result: SANDBOX in the
// sandbox, null in production.
const aipriseEnvironment = "SANDBOX"

// The run statuses of AiPrise's OpenAPI document, and the two that its callbacks
// page has in their place.
const (
	runNotStarted = "NOT_STARTED"
	runRunning    = "RUNNING"
	runCompleted  = "COMPLETED"
	runFailed     = "FAILED"
	runCollecting = "COLLECTING"
	runProcessing = "PROCESSING"
)

// aipriseResult is AiPrise's UserVerificationResponseV2. What a person is known
// by is invented, and there so that whoever stores it unawares is found out.
type aipriseResult struct {
	VerificationSessionID string          `json:"verification_session_id"`
	TemplateID            string          `json:"template_id"`
	ClientReferenceID     *string         `json:"client_reference_id"`
	ClientReferenceData   json.RawMessage `json:"client_reference_data"`
	Summary               aipriseSummary  `json:"aiprise_summary"`
	Status                string          `json:"status"`
	StatusReasons         []aipriseReason `json:"status_reasons"`
	CreatedAt             int64           `json:"created_at"`
	Environment           string          `json:"environment"`
	UserInput             aipriseInput    `json:"user_input"`

	IDInfo            map[string]any  `json:"id_info"`
	FaceMatchInfo     map[string]any  `json:"face_match_info"`
	FaceLivenessInfo  map[string]any  `json:"face_liveness_info"`
	AMLInfo           map[string]any  `json:"aml_info"`
	FraudInsights     map[string]any  `json:"fraud_insights"`
	PhoneInsights     map[string]any  `json:"phone_insights"`
	LookupInfo        []any           `json:"lookup_info"`
	AdditionalInfo    json.RawMessage `json:"additional_info"`
	RiskInfo          map[string]any  `json:"risk_info"`
	AMLMonitoringInfo []any           `json:"aml_monitoring_info"`

	TimeToProcess         string `json:"time_elapsed_to_process"`
	TimeToCompleteSession string `json:"time_elapsed_to_complete_session"`
}

type aipriseSummary struct {
	VerificationResult string `json:"verification_result"`
}

type aipriseReason struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

type aipriseInput struct {
	UserData           json.RawMessage `json:"user_data"`
	AdditionalUserInfo []any           `json:"additional_user_info"`
}

// finding is what a workflow came to: the run status and the decision.
type finding struct {
	status string
	result string
	// over: nothing more is to come, so the sections are there.
	over bool
}

// resultOf writes a finding down, each time with new pre-signed file URLs.
func (a *AiPrise) resultOf(s *aipriseSession, found finding) aipriseResult {
	r := aipriseResult{
		VerificationSessionID: s.id, TemplateID: s.template,
		ClientReferenceID: s.reference, ClientReferenceData: s.referenceData,
		Summary: aipriseSummary{VerificationResult: found.result}, Status: found.status,
		StatusReasons: reasonsOf(s, found), CreatedAt: s.created.UnixMilli(), Environment: aipriseEnvironment,
		UserInput:  aipriseInput{UserData: s.userData, AdditionalUserInfo: []any{}},
		LookupInfo: []any{}, AdditionalInfo: s.additionalInfo, AMLMonitoringInfo: []any{},
		TimeToProcess: seconds(a.delay), TimeToCompleteSession: seconds(0),
	}
	if !found.over {
		return r
	}
	r.TimeToCompleteSession = seconds(s.submitted.Sub(s.created))
	// A section has a result of its own, which is not the decision.
	r.IDInfo = map[string]any{
		"result": aipriseApproved, "first_name": "Specimen", "last_name": "Sandbox", "id_number": "SPECIMEN-000000",
		"file_urls": []string{preSigned(s.id, "id-front.jpg"), preSigned(s.id, "id-back.jpg")},
	}
	r.FaceMatchInfo = map[string]any{"result": aipriseApproved, "face_match_score": 97}
	r.FaceLivenessInfo = map[string]any{"result": aipriseApproved, "selfie_url": preSigned(s.id, "selfie.jpg")}
	r.AMLInfo = map[string]any{"result": "NOT_FOUND", "num_hits": 0}
	r.FraudInsights = map[string]any{"result": aipriseUnknown, "ip_address": "192.0.2.1"}
	r.PhoneInsights = map[string]any{"result": "FOUND", "carrier": "Specimen Telecom"}
	r.RiskInfo = map[string]any{"risk_score": 0}
	return r
}

// preSigned is a file URL whose signature is new each time, as with every cloud
// storage. Its host cannot exist.
func preSigned(session, file string) string {
	return "https://files.aiprise.invalid/" + session + "/" + file + "?signature=" + rand.Text()
}

// seconds is how AiPrise writes a time that passed.
func seconds(d time.Duration) string {
	const precision, bits = 3, 64
	return strconv.FormatFloat(d.Seconds(), 'f', precision, bits)
}

// reasonsOf are the reasons for a status. Their codes are our choice, but for
// those that a reviewer gave.
func reasonsOf(s *aipriseSession, found finding) []aipriseReason {
	switch {
	case found.status == runFailed:
		return []aipriseReason{{Code: "SANDBOX_WORKFLOW_ERROR", Message: "The workflow broke."}}
	case found.result == aipriseDeclined && s.reason != "":
		return []aipriseReason{{Code: s.reason, Message: "Declined by a reviewer."}}
	case found.result == aipriseDeclined:
		return []aipriseReason{{Code: "SANDBOX_DECLINED", Message: "Declined on the sandbox page."}}
	default:
		return []aipriseReason{}
	}
}

// finalOf is what the workflow comes to in the end, and a reviewer instead of
// it.
func finalOf(s *aipriseSession, faults AiPriseFaults) finding {
	found := finding{status: runCompleted, result: s.decision, over: true}
	if faults.WorkflowFailed && !s.reviewed {
		found.status, found.result = runFailed, aipriseUnknown
	}
	if faults.UnknownStatus {
		found.status = statusUnknown
	}
	if faults.UnknownResult {
		found.result = statusUnknown
	}
	return found
}

// findingNow is what a poll is told: the words change as the workflow goes on.
func (a *AiPrise) findingNow(s *aipriseSession, faults AiPriseFaults) finding {
	waiting, running := runNotStarted, runRunning
	if faults.OldStatuses {
		running = runProcessing
		if s.started {
			waiting = runCollecting
		}
	}
	switch {
	case s.submitted.IsZero():
		return finding{status: waiting, result: aipriseUnknown}
	case !s.reviewed && a.now().Before(s.submitted.Add(a.delay)):
		return finding{status: running, result: aipriseUnknown}
	default:
		return finalOf(s, faults)
	}
}

// showResult is the poll of AiPrise's guide.
func (a *AiPrise) showResult(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if _, err := uuid.Parse(id); err != nil {
		return refuse(http.StatusBadRequest, "verification_session_id: must be a UUID")
	}
	result, err := a.poll(id)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, result)
}

func (a *AiPrise) poll(id string) (aipriseResult, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, err := a.session(id)
	if err != nil {
		return aipriseResult{}, err
	}
	faults, err := a.faults.withOverrides(s.overrides, s.runOverrides)
	if err != nil {
		return aipriseResult{}, badRequest(err)
	}
	if faults.ResultStatus != 0 {
		return aipriseResult{}, aipriseRefusal(faults.ResultStatus)
	}
	return a.resultOf(s, a.findingNow(s, faults)), nil
}
