package provider

// Settings is an adapter's own part of a connection in verigate.yaml. The
// configuration decodes it strictly, by its yaml tags, then validates, then
// opens it.
type Settings interface {
	// Validate returns everything that is wrong. A development gateway may talk
	// to a provider over plain http on a loopback address; no other may.
	Validate(development bool) []Problem
	// Open returns the live provider. It refuses what Validate would report.
	Open(deps Deps) (Provider, error)
}

// Problem is one mistake in a connection's settings.
type Problem struct {
	// Field is the yaml key.
	Field string
	// Message says what is wrong and what to do.
	Message string
}

// Registry maps a provider's name to a constructor of its empty settings. The
// wiring in cmd fills it; nothing else names concrete adapters.
type Registry map[string]func() Settings
