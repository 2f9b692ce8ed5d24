package sandbox

// aiprisePerson is who did something at AiPrise: personal, and invented.
type aiprisePerson struct {
	Email string `json:"email"`
}

func reviewer() aiprisePerson { return aiprisePerson{Email: "reviewer@aiprise.invalid"} }

// caseUpdate is CASE_STATUS_UPDATE of AiPrise's event callbacks page. A reason
// comes with a decline.
type caseUpdate struct {
	aipriseEvent

	VerificationResult string         `json:"verification_result"`
	Reason             *aipriseReason `json:"reason,omitempty"`
	Author             aiprisePerson  `json:"author"`
}

func caseEvent(s *aipriseSession, v verdict, faults AiPriseFaults) webhook {
	update := caseUpdate{
		aipriseEvent: commonOf(s, eventCase, faults), VerificationResult: v.result, Author: reviewer(),
	}
	if v.result == aipriseDeclined {
		code := v.reason
		if code == "" {
			code = "SANDBOX_DECLINED"
		}
		update.Reason = &aipriseReason{Code: code, Message: "Declined by a reviewer."}
	}
	if faults.UnknownResult {
		update.VerificationResult = statusUnknown
	}
	return webhook{channel: ChannelEvents, event: eventCase, payload: func() any { return update }}
}

type commentUpdate struct {
	aipriseEvent

	Comment   string        `json:"comment"`
	Author    aiprisePerson `json:"author"`
	CreatedAt int64         `json:"created_at"`
}

type sectionUpdate struct {
	aipriseEvent

	Data sectionChange `json:"data"`
}

type sectionChange struct {
	Previous map[string]string `json:"previous"`
	Current  map[string]string `json:"current"`
}

type amlUpdate struct {
	aipriseEvent

	Update amlHits `json:"aml_monitoring_update"`
}

type amlHits struct {
	NumHits int `json:"num_hits"`
}

// nestedAML is AML_MONITORING_UPDATE of the older page.
type nestedAML struct {
	EventType string        `json:"event_type"`
	Data      nestedAMLData `json:"data"`
}

type nestedAMLData struct {
	VerificationSessionID string  `json:"verification_session_id"`
	TemplateID            string  `json:"template_id"`
	Update                amlHits `json:"aml_monitoring_update"`
}

// eventMakers make the events that change no decision, by their types. The
// pages name the keys; what is inside them is our choice.
func (a *AiPrise) eventMakers() map[string]func(*aipriseSession, AiPriseFaults) webhook {
	return map[string]func(*aipriseSession, AiPriseFaults) webhook{
		eventComment: a.commentEvent,
		eventSection: sectionEvent,
		eventAML:     amlEvent,
	}
}

func (a *AiPrise) commentEvent(s *aipriseSession, faults AiPriseFaults) webhook {
	update := commentUpdate{
		aipriseEvent: commonOf(s, eventComment, faults), Comment: "A note about a specimen.", Author: reviewer(),
		CreatedAt: a.now().UnixMilli(),
	}
	return webhook{channel: ChannelEvents, event: eventComment, payload: func() any { return update }}
}

func sectionEvent(s *aipriseSession, faults AiPriseFaults) webhook {
	update := sectionUpdate{
		aipriseEvent: commonOf(s, eventSection, faults),
		Data: sectionChange{
			Previous: map[string]string{"last_name": "Sandbox"}, Current: map[string]string{"last_name": "Sandpit"},
		},
	}
	return webhook{channel: ChannelEvents, event: eventSection, payload: func() any { return update }}
}

func amlEvent(s *aipriseSession, faults AiPriseFaults) webhook {
	hits := amlHits{NumHits: 1}
	var update any = amlUpdate{aipriseEvent: commonOf(s, eventAML, faults), Update: hits}
	if faults.AMLInData {
		update = nestedAML{
			EventType: typeOf(eventAML, faults),
			Data:      nestedAMLData{VerificationSessionID: s.id, TemplateID: s.template, Update: hits},
		}
	}
	return webhook{channel: ChannelEvents, event: eventAML, payload: func() any { return update }}
}
