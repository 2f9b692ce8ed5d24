package config

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/verigate/verigate/server/verification"
)

// The sizes of texts, in characters: what the contract allows in a request,
// a flow may not exceed either.
const (
	maxProduct   = 128
	maxURL       = 2048
	maxPageTitle = 200
	maxMessage   = 1000
)

// flows checks the flows. connections are those of the file, in its order.
func (c *checker) flows(connections []Connection) []verification.Flow {
	if len(c.file.Flows) == 0 {
		c.report.checkf("flows", "is missing; declare at least one thing to start")
	}
	built := make([]verification.Flow, 0, len(c.file.Flows))
	known, names, lanes := c.directory(), map[string]string{}, map[string]int{}
	for i := range c.file.Flows {
		entry, path := &c.file.Flows[i], element("flows", i)
		named := c.matches(path+".name", entry.Name, namePattern, nameShape)
		sound := c.product(entry, path)
		var scope verification.Scope
		var account *Connection
		home := c.home(known, entry, path)
		if home >= 0 {
			scope = c.scope(home)
			c.lane(lanes, i)
			if connections[home].Settings != nil {
				account = &connections[home]
			}
		}
		if named && isScope(scope) {
			c.unique(names, scopeName(scope)+"/"+entry.Name, entry.Name, path, "name", "flow names are unique within a project and environment")
		}
		c.correlation(entry, path, home)
		c.flowTimes(entry, path)
		c.flowURLs(entry, path)
		c.flowCallbacks(entry, path, scope)
		c.flowTexts(entry, path)
		c.flowEndUsers(entry, path, scope)
		c.flowLimits(entry, path)
		flow := entry.flow(scope)
		flow.Options = c.options(entry, path, account, sound)
		built = append(built, flow)
	}
	return built
}

// product reports whether a flow's product is one that some provider may have.
func (c *checker) product(entry *flowEntry, path string) bool {
	at := join(path, productKey)
	if !c.required(at, entry.Product, "write the provider's name of the product or template") {
		return false
	}
	c.length(at, entry.Product, maxProduct)
	if entry.Product != strings.ToLower(entry.Product) {
		c.report.checkf(at, "%s must be in lower case: a webhook's product is compared so", quote(entry.Product))
		return false
	}
	return utf8.RuneCountInString(entry.Product) <= maxProduct
}

// directory says which connections there are.
type directory struct {
	names []string
	// index is where the first connection of a name is.
	index map[string]int
	// complete is false when some connection's name is missing.
	complete bool
}

func (c *checker) directory() directory {
	d := directory{index: map[string]int{}, complete: len(c.file.Connections) > 0}
	for i := range c.file.Connections {
		name := c.file.Connections[i].Name
		if _, taken := d.index[name]; !taken {
			d.index[name] = i
			d.names = append(d.names, name)
		}
		d.complete = d.complete && name != ""
	}
	return d
}

// home returns the index of a flow's connection, -1 if there is none. It is
// silent when the connection may be one whose own name is missing.
func (c *checker) home(known directory, entry *flowEntry, path string) int {
	if !c.required(path+".connection", entry.Connection, "write the name of one of the connections") {
		return -1
	}
	if i, ok := known.index[entry.Connection]; ok {
		return i
	}
	if known.complete {
		c.report.checkf(path+".connection", "there is no connection %s; %s", quote(entry.Connection), oneOf(entry.Connection, known.names))
	}
	return -1
}

// lane checks that the flows of one connection and product agree on exclusive:
// a lane that some of them do not keep to protects nobody.
func (c *checker) lane(lanes map[string]int, index int) {
	entry, path := &c.file.Flows[index], element("flows", index)
	key := entry.Connection + "/" + entry.Product
	first, known := lanes[key]
	if !known && entry.Product != "" && !c.report.unread(path+".exclusive") {
		lanes[key] = index
	}
	if known && c.file.Flows[first].Exclusive != entry.Exclusive {
		c.report.checkf(path+".exclusive", "is %t, but %s on line %d says %t; all flows of one connection and product must agree",
			entry.Exclusive, element("flows", first), c.report.lineOf(element("flows", first)+".exclusive"), !entry.Exclusive)
	}
}

// correlation refuses what could match the wrong person, and what could never
// match anybody. home is the index of the flow's connection, -1 for none.
func (c *checker) correlation(entry *flowEntry, path string, home int) {
	at := path + ".correlation"
	c.choice(at, entry.Correlation, correlationExact, correlationInferred)
	if entry.Correlation == correlationExact && entry.HostedURL != "" {
		c.report.checkf(at, "must be %s because hosted_url is one page for everybody: no webhook about it names a verification, so %s can never match",
			correlationInferred, correlationExact)
	}
	if entry.Correlation != correlationInferred || home < 0 || c.file.Connections[home].Dedicated ||
		c.report.unread(element("connections", home)+".dedicated") {
		return
	}
	c.report.checkf(at, "needs dedicated: true on the connection %s: inferring is safe only where nothing else creates verifications on the account",
		entry.Connection)
}

func (c *checker) flowTimes(entry *flowEntry, path string) {
	c.within(path+".return_window", entry.ReturnWindow, c.bounds.returnWindow)
	c.within(path+".lifetime", entry.Lifetime, c.bounds.lifetime)
	c.within(path+".grace", entry.Grace, c.bounds.grace)
	c.within(path+".reconcile_after", entry.ReconcileAfter, c.bounds.reconcileAfter)
}

func (c *checker) flowURLs(entry *flowEntry, path string) {
	if entry.HostedURL != "" {
		c.length(path+".hosted_url", entry.HostedURL, maxURL)
		if _, problem := parseURL(entry.HostedURL, c.development); problem != nil {
			c.report.checkf(path+".hosted_url", "%v", problem)
		}
	}
	sound := !c.report.unread(path + ".allowed_redirects")
	for i, allowed := range entry.AllowedRedirects {
		if err := verification.CheckAllowedRedirect(allowed); err != nil {
			c.report.checkf(element(path+".allowed_redirects", i), "%s", message(err))
			sound = false
		}
	}
	c.redirect(path, "redirect_url", entry.RedirectURL, entry.AllowedRedirects, sound)
	c.redirect(path, "failure_redirect_url", entry.FailureRedirectURL, entry.AllowedRedirects, sound)
	c.callback(path, "callback_url", entry.CallbackURL)
	c.callback(path, "events_callback_url", entry.EventsCallbackURL)
}

// redirect checks a flow's own target. When the list is wrong itself, only what
// no list could allow is reported.
func (c *checker) redirect(path, key, target string, allowed []string, sound bool) {
	if target == "" {
		return
	}
	c.length(path+"."+key, target, maxURL)
	err := verification.CheckRedirect(key, target, allowed)
	if !sound {
		page, _, _ := strings.Cut(target, "#")
		page, _, _ = strings.Cut(page, "?")
		err = verification.CheckAllowedRedirect(page)
	}
	if err != nil {
		c.report.checkf(path+"."+key, "%s", message(err))
	}
}

func (c *checker) callback(path, key, target string) {
	if target == "" {
		return
	}
	c.length(path+"."+key, target, maxURL)
	if err := verification.CheckCallbackURL(key, target); err != nil {
		c.report.checkf(path+"."+key, "%s", message(err))
	}
}

func (c *checker) flowTexts(entry *flowEntry, path string) {
	c.length(path+".page_title", entry.PageTitle, maxPageTitle)
	c.length(path+".success_message", entry.SuccessMessage, maxMessage)
	c.length(path+".failure_message", entry.FailureMessage, maxMessage)
}

// flowEndUsers checks that somebody vouches for the end users of a flow. scope
// is the flow's, zero when it has no connection.
func (c *checker) flowEndUsers(entry *flowEntry, path string, scope verification.Scope) {
	if entry.EndUsers && entry.Correlation == correlationInferred && !entry.Exclusive && !c.development {
		c.report.checkf(path+".end_users", "cannot be true with correlation: inferred unless exclusive is true: "+
			"a stranger who times a return well could be taken for the person whose webhook comes next")
	}
	if !entry.EndUsers || !isScope(scope) || c.report.unread("end_users") {
		return
	}
	// An entry that is incomplete itself may be the one that is meant.
	vouched := func(e endUsersEntry) bool {
		its := verification.Scope{Project: e.Project, Environment: verification.Environment(e.Environment)}
		return its == scope || !isScope(its)
	}
	if !slices.ContainsFunc(c.file.EndUsers, vouched) {
		c.report.checkf(path+".end_users", "is true, but end_users has no entry for the project %s and environment %s; "+
			"add one with the issuer of your users' tokens, or remove this", scope.Project, scope.Environment)
	}
}

func (c *checker) flowLimits(entry *flowEntry, path string) {
	c.count(path+".max_open", entry.MaxOpen, 0, c.bounds.maxOpen)
	at := path + ".max_open_per_subject"
	c.count(at, entry.MaxOpenPerSubject, 0, c.bounds.maxOpen)
	switch {
	case !entry.EndUsers || entry.MaxOpenPerSubject != 0:
	case c.report.written(at):
		c.report.checkf(at, "is 0, which is no limit, but end users start this flow themselves; write 1 or more, or remove the key for %d",
			defaultOpenPerSubject)
	default:
		entry.MaxOpenPerSubject = defaultOpenPerSubject
	}
}

func (c *checker) length(path, text string, most int) {
	if n := utf8.RuneCountInString(text); n > most {
		c.report.checkf(path, "has %d characters, but must have at most %d", n, most)
	}
}

func (e *flowEntry) flow(scope verification.Scope) verification.Flow {
	return verification.Flow{
		Name:               e.Name,
		Scope:              scope,
		Connection:         e.Connection,
		Product:            e.Product,
		HostedURL:          e.HostedURL,
		Inferred:           e.Correlation == correlationInferred,
		ReturnWindow:       e.ReturnWindow,
		Exclusive:          e.Exclusive,
		Lifetime:           e.Lifetime,
		Grace:              e.Grace,
		FetchAfter:         e.ReconcileAfter,
		AllowedRedirects:   e.AllowedRedirects,
		RedirectURL:        e.RedirectURL,
		FailureRedirectURL: e.FailureRedirectURL,
		CallbackURL:        e.CallbackURL,
		EventsCallbackURL:  e.EventsCallbackURL,
		PageTitle:          e.PageTitle,
		SuccessMessage:     e.SuccessMessage,
		FailureMessage:     e.FailureMessage,
		EndUsers:           e.EndUsers,
		MaxOpen:            e.MaxOpen,
		MaxOpenPerSubject:  e.MaxOpenPerSubject,
	}
}
