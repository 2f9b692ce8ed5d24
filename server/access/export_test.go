package access

// Leads asks for a key, and reports whether whoever asked so has to look it up.
func (s *SharedKeys) Leads(id string) bool {
	_, _, leads := s.join(id)
	return leads
}
