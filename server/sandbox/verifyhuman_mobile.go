package sandbox

import (
	"crypto/rand"
	"errors"
	"net/http"
	"strings"
)

// mobileSession is one session of VerifyHuman's mobile REST API, which has the
// status endpoints that hosted tokens lack.
type mobileSession struct {
	verificationID string
	outcome        Outcome
}

// mobileEnvelope is the answer of VerifyHuman's mobile page. The values of
// outcome and step are not documented; PASS and FAIL, as in webhooks, are our
// choice.
type mobileEnvelope struct {
	Success        bool              `json:"success"`
	SessionID      *string           `json:"session_id"`
	VerificationID *string           `json:"verification_id"`
	Product        string            `json:"product"`
	Outcome        *string           `json:"outcome"`
	NextStep       *string           `json:"next_step"`
	Data           map[string]string `json:"data"`
	Meta           mobileMeta        `json:"meta"`
}

type mobileMeta struct {
	Environment string `json:"environment"`
	Step        string `json:"step"`
}

const (
	verificationPrefix = "ver_"
	mobilePrefix       = "msess_"
)

// AddMobileSession makes a session of the mobile REST API with outcome Pass,
// Fail or Undecided, and returns the id that its status endpoint knows it by: a
// verification id for verifyhuman, which is a single call, and a session id for
// the others.
func (v *VerifyHuman) AddMobileSession(product string, outcome Outcome) (string, error) {
	suffix := strings.ToLower(rand.Text())
	id := mobileID(product, suffix)
	if err := v.SetMobileSession(product, id, outcome); err != nil {
		return "", err
	}
	return id, nil
}

// SetMobileSession gives the session with the id that outcome, and makes it if
// it does not exist. Its error names the argument that is wrong.
func (v *VerifyHuman) SetMobileSession(product, id string, outcome Outcome) error {
	var problems []error
	if !knownProduct(product) {
		problems = append(problems, errors.New("product: must be "+wantProduct))
	}
	suffix, ok := strings.CutPrefix(id, mobileID(product, ""))
	if !ok || suffix == "" {
		problems = append(problems, errors.New("id: must begin with ver_ for verifyhuman and with msess_ for the others"))
	}
	if outcome != Pass && outcome != Fail && outcome != Undecided {
		problems = append(problems, errors.New("outcome: must be pass, fail or none"))
	}
	if err := joinProblems(problems); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.mobile.put(product+"/"+id, mobileSession{verificationID: verificationPrefix + suffix, outcome: outcome})
	return nil
}

// rememberRun shows a finished run on the mobile status endpoints too. v.mu is
// held. The two ids of a run end alike, so that a test can go from one to the
// other; that is our choice.
func (v *VerifyHuman) rememberRun(product, suffix string, outcome Outcome) {
	if outcome == Deny {
		outcome = Fail
	}
	v.mobile.put(product+"/"+mobileID(product, suffix),
		mobileSession{verificationID: verificationPrefix + suffix, outcome: outcome})
}

func mobileID(product, suffix string) string {
	if product == productHuman {
		return verificationPrefix + suffix
	}
	return mobilePrefix + suffix
}

func (v *VerifyHuman) mobileStatus(w http.ResponseWriter, r *http.Request) error {
	if r.URL.Query().Has("clientKey") {
		return refuse(http.StatusBadRequest,
			"clientKey: not accepted as a query parameter; send Authorization: ClientKey or X-Client-Key")
	}
	key := v.options.ClientKey
	if !same(credential(r, "ClientKey"), key) && !same(r.Header.Get("X-Client-Key"), key) {
		return refuse(http.StatusUnauthorized, "Invalid API key")
	}
	product, id := r.PathValue("product"), r.PathValue("id")
	v.mu.Lock()
	s, known := v.mobile.get(product + "/" + id)
	v.mu.Unlock()
	if !known {
		return refuse(http.StatusNotFound, "Unknown session")
	}
	return writeJSON(w, http.StatusOK, v.mobileAnswer(product, id, s))
}

func (v *VerifyHuman) mobileAnswer(product, id string, s mobileSession) mobileEnvelope {
	e := mobileEnvelope{
		Success: true, Product: product, Data: map[string]string{},
		Meta: mobileMeta{Environment: v.options.Environment, Step: "completed"},
	}
	if product != productHuman {
		e.SessionID = &id
	}
	if s.outcome == Undecided {
		e.Meta.Step = "pending"
		if product == productHuman {
			e.VerificationID = &id
			return e
		}
		e.NextStep = new("upload_id_front")
		return e
	}
	e.VerificationID = &s.verificationID
	e.Outcome = new(strings.ToUpper(string(s.outcome)))
	return e
}
