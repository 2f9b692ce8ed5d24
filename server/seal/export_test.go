package seal

import "io"

// WithRandom returns a keyring of the same keys that takes its nonces from r.
func (k *Keyring) WithRandom(r io.Reader) *Keyring {
	return &Keyring{sealing: k.sealing, aeads: k.aeads, random: r}
}
