package sandbox

import (
	"net/http"
	"time"
)

// runView is what the page of one run shows. Root and Action are relative to
// the page, so that no mount prefix matters.
type runView struct {
	Title       string
	Product     string
	Root        string
	Action      string
	Success     string
	Failure     string
	Abandoned   string
	Environment string
	// Expires is RFC 3339; empty for a stable page.
	Expires string
	// ExpiresText is for people.
	ExpiresText string
}

func (v *VerifyHuman) showSession(w http.ResponseWriter, r *http.Request) error {
	v.mu.Lock()
	s, known := v.sessions.get(r.PathValue("token"))
	used := known && s.used
	v.mu.Unlock()
	switch {
	case !known:
		return v.writeNotice(w, r, http.StatusNotFound, notice{
			Title: "Page not found", Text: "This link is not known here. Please start again from the app.",
		})
	case used:
		return v.writeNotice(w, r, http.StatusGone, notice{
			Title: "Link already used",
			Text:  "This link was already used and works only once. Please start again from the app.",
		})
	case v.expired(s):
		return v.writeNotice(w, r, http.StatusGone, notice{
			Title: "Link expired", Text: "This link has expired. Please start again from the app.",
		})
	}
	view := v.viewOf(s.hostedPage)
	view.Root = "../../"
	view.Action = "../complete/" + s.token
	view.Expires = s.expires.Format(time.RFC3339)
	view.ExpiresText = s.expires.Format("2 January 2006, 15:04 UTC")
	return v.render(w, http.StatusOK, "run", view)
}

func (v *VerifyHuman) showFlow(w http.ResponseWriter, r *http.Request) error {
	slug := r.PathValue("slug")
	page, known := v.flows[slug]
	if !known {
		return v.writeNotice(w, r, http.StatusNotFound, notice{
			Title: "Page not found", Text: "There is no such flow. Please start again from the app.",
		})
	}
	view := v.viewOf(page)
	view.Root = "../"
	view.Action = slug + "/complete"
	return v.render(w, http.StatusOK, "run", view)
}

func (v *VerifyHuman) viewOf(p hostedPage) runView {
	return runView{
		Title: p.title, Product: p.product, Environment: v.options.Environment,
		Success: p.successMessage, Failure: p.failureMessage, Abandoned: p.messageOf(statusAbandoned),
	}
}

func (v *VerifyHuman) writeNotice(w http.ResponseWriter, r *http.Request, status int, n notice) error {
	// Hosted pages and completions lie two folders deep, a stable page one.
	n.Root = "../../"
	if r.PathValue("slug") != "" && r.Method != http.MethodPost {
		n.Root = "../"
	}
	return v.render(w, status, "notice", n)
}

// either answers errors as a page to a form and as JSON to a script.
func (v *VerifyHuman) either(h handler) http.HandlerFunc {
	return v.api(func(w http.ResponseWriter, r *http.Request) error {
		err := h(w, r)
		if err == nil || mediaType(r) != formType {
			return err
		}
		no := v.refusalOf(err)
		return v.writeNotice(w, r, no.status, notice{Title: "This did not work", Text: no.message})
	})
}
