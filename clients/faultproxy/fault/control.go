package fault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	// longestWait bounds a GET /calls that waits.
	longestWait = 30 * time.Second
	// maxControl bounds a body of the control API.
	maxControl = 1 << 20
)

// controlHandler is the control API: JSON for tests in any language.
func (p *Proxy) controlHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /faults", p.putFaults)
	mux.HandleFunc("DELETE /faults", func(w http.ResponseWriter, _ *http.Request) {
		p.book.set(nil)
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /now", p.postNow)
	mux.HandleFunc("GET /calls", p.getCalls)
	mux.HandleFunc("DELETE /calls", func(w http.ResponseWriter, _ *http.Request) {
		p.Forget()
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

func (p *Proxy) putFaults(w http.ResponseWriter, r *http.Request) {
	var rules []Rule
	err := decode(w, r, &rules)
	if err == nil {
		err = p.SetFaults(rules...)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// nowRequest is the body of POST /now.
type nowRequest struct {
	Procedure string `json:"procedure"`
	Fault     Kind   `json:"fault"`
}

func (p *Proxy) postNow(w http.ResponseWriter, r *http.Request) {
	var asked nowRequest
	err := decode(w, r, &asked)
	if err == nil {
		err = checkSudden(asked.Fault)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), p.waitLimit)
	defer cancel()
	hit, err := p.Now(ctx, asked.Procedure, asked.Fault)
	if err != nil {
		refuse(w, http.StatusRequestTimeout, fmt.Errorf("a call did not take the fault: %w", err))
		return
	}
	writeJSON(w, http.StatusOK, map[string]int{"hit": hit})
}

func (p *Proxy) getCalls(w http.ResponseWriter, r *http.Request) {
	until, err := parseCondition(r.URL.Query())
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), p.waitLimit)
	defer cancel()
	calls, ok := p.book.wait(ctx, until)
	if !ok {
		writeJSON(w, http.StatusRequestTimeout, calls)
		return
	}
	writeJSON(w, http.StatusOK, calls)
}

func parseCondition(query url.Values) (Condition, error) {
	until := Condition{Procedure: query.Get("procedure")}
	for name := range query {
		if name == "procedure" {
			continue
		}
		n, err := strconv.Atoi(query.Get(name))
		if err != nil || n < 0 {
			return until, fmt.Errorf("%s: must be a number such as 1", name)
		}
		switch name {
		case "begun":
			until.Begun = n
		case "open":
			until.Open = &n
		case "messages":
			until.Messages = n
		default:
			return until, fmt.Errorf("%s: is unknown; use procedure, begun, open or messages", name)
		}
	}
	return until, nil
}

// decode reads a JSON body that must hold what is expected and nothing else.
func decode(w http.ResponseWriter, r *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxControl))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("body: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("body: there is more after the JSON value; send one value only")
	}
	return nil
}

// refuse answers with an error, which is all that the body holds.
func refuse(w http.ResponseWriter, status int, why error) {
	writeJSON(w, status, map[string]string{"error": why.Error()})
}

func writeJSON(w http.ResponseWriter, status int, content any) {
	text, err := json.Marshal(content)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be written as JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // nobody is left to be told
}
