package sandbox

import (
	"net/http"
)

// Faults returns the faults of the run.
func (v *VerifyHuman) Faults() Faults {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.faults
}

// SetFaults replaces the faults of the run, for webhooks that are not yet on
// their way. Its error names every field that is wrong.
func (v *VerifyHuman) SetFaults(f Faults) error {
	if err := f.Validate(); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.faults = f
	return nil
}

func (v *VerifyHuman) showFaults(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, v.Faults())
}

// replaceFaults sets exactly the faults of the body; an empty object ends them.
func (v *VerifyHuman) replaceFaults(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r, jsonType)
	if err != nil {
		return err
	}
	faults, err := Faults{}.With(body)
	if err != nil {
		return badRequest(err)
	}
	v.mu.Lock()
	v.faults = faults
	v.mu.Unlock()
	return writeJSON(w, http.StatusOK, faults)
}

// overrideFaults sets the fields in which one session differs from the run, and
// answers what results now.
func (v *VerifyHuman) overrideFaults(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r, jsonType)
	if err != nil {
		return err
	}
	faults, err := v.overrideSession(r.PathValue("token"), body)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, faults)
}

func (v *VerifyHuman) overrideSession(token string, body []byte) (Faults, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s, known := v.sessions.get(token)
	if !known {
		return Faults{}, refuse(http.StatusNotFound, "Unknown token")
	}
	if s.used {
		return Faults{}, refuse(http.StatusConflict, "This token was already used; its webhook is on the way")
	}
	faults, err := v.faults.withOverride(body)
	if err != nil {
		return Faults{}, badRequest(err)
	}
	s.overrides = body
	return faults, nil
}

func (v *VerifyHuman) sendPing(w http.ResponseWriter, _ *http.Request) error {
	m, err := v.pingMessage(v.Faults())
	if err != nil {
		return err
	}
	if err := v.sender.send(m); err != nil {
		return unsent(err)
	}
	return writeJSON(w, http.StatusAccepted, struct {
		EventID string `json:"event_id"`
	}{m.eventID})
}

// mobileAdded is the answer of the mobile session routes.
type mobileAdded struct {
	ID string `json:"id"`
}

func (v *VerifyHuman) addMobileSession(w http.ResponseWriter, r *http.Request) error {
	var product string
	outcome := Undecided
	err := readFields(w, r, map[string]field{
		"product":    into(&product, wantProduct),
		outcomeField: into(&outcome, "pass, fail or none"),
	})
	if err != nil {
		return err
	}
	id, err := v.AddMobileSession(product, outcome)
	if err != nil {
		return badRequest(err)
	}
	return writeJSON(w, http.StatusCreated, mobileAdded{ID: id})
}

func (v *VerifyHuman) setMobileSession(w http.ResponseWriter, r *http.Request) error {
	outcome := Undecided
	if err := readFields(w, r, map[string]field{outcomeField: into(&outcome, "pass, fail or none")}); err != nil {
		return err
	}
	id := r.PathValue("id")
	if err := v.SetMobileSession(r.PathValue("product"), id, outcome); err != nil {
		return badRequest(err)
	}
	return writeJSON(w, http.StatusOK, mobileAdded{ID: id})
}

// readFields reads a JSON body. Its errors are refusals.
func readFields(w http.ResponseWriter, r *http.Request, fields map[string]field) error {
	body, err := readBody(w, r, jsonType)
	if err != nil {
		return err
	}
	if err := decodeObject(body, "", fields); err != nil {
		return badRequest(err)
	}
	return nil
}
