package sandbox

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"time"
)

// pageFiles are the hosted page's templates and what it loads.
//
//go:embed page
var pageFiles embed.FS

const htmlType = "text/html; charset=utf-8"

func parsePages() (*template.Template, error) {
	pages, err := template.ParseFS(pageFiles, "page/*.html")
	if err != nil {
		return nil, fmt.Errorf("parse the hosted page: %w", err)
	}
	return pages, nil
}

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

// notice is a page that only says something.
type notice struct {
	Title string
	Text  string
	Root  string
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

// render writes a whole page or none: a template that fails writes nothing.
func (v *VerifyHuman) render(w http.ResponseWriter, status int, name string, view any) error {
	var page bytes.Buffer
	if err := v.pages.ExecuteTemplate(&page, name, view); err != nil {
		return fmt.Errorf("render the %s page: %w", name, err)
	}
	w.Header().Set("Content-Type", htmlType)
	w.WriteHeader(status)
	_, _ = page.WriteTo(w)
	return nil
}

// page answers errors as plain text; the notices of people are pages already.
func (v *VerifyHuman) page(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			no := v.refusalOf(err)
			http.Error(w, no.message, no.status)
		}
	}
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

// assetTypes are the files that pages load, with their types.
func assetTypes() map[string]string {
	return map[string]string{
		"style.css": "text/css; charset=utf-8",
		"run.js":    "text/javascript; charset=utf-8",
		"icon.svg":  "image/svg+xml",
	}
}

// asset serves one embedded file.
func asset(name, contentType string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		http.ServeFileFS(w, r, pageFiles, "page/"+name)
	}
}
