package sandbox

// person is what decides in AiPrise's sandbox. Its testing page lists a value of
// each field for DECLINED and for REVIEW, and says that any one of them decides;
// its triggers by identity number, e-mail and image are not played here.
type person struct {
	firstName   string
	lastName    string
	dateOfBirth string
	phoneNumber string
	ipAddress   string
}

// userDataFields reads user_data.
func userDataFields(p *person) map[string]field {
	const text = "a string"
	return map[string]field{
		"first_name":    into(&p.firstName, text),
		"last_name":     into(&p.lastName, text),
		"date_of_birth": into(&p.dateOfBirth, text),
		"phone_number":  into(&p.phoneNumber, text),
		"ip_address":    into(&p.ipAddress, text),
	}
}

// decision is the sandbox's verification_result for the person. That DECLINED
// beats REVIEW where both match is our choice.
func (p person) decision() string {
	declined := person{"John", "Doe", "1900-01-01", "+19999999999", "0.0.0.0"}
	review := person{"Jane", "Johnson", "1901-01-01", "+18888888888", "1.1.1.1"}
	switch {
	case p.shares(declined):
		return aipriseDeclined
	case p.shares(review):
		return aipriseReview
	default:
		return aipriseApproved
	}
}

// shares reports whether any field is the same.
func (p person) shares(trigger person) bool {
	return p.firstName == trigger.firstName || p.lastName == trigger.lastName ||
		p.dateOfBirth == trigger.dateOfBirth || p.phoneNumber == trigger.phoneNumber ||
		p.ipAddress == trigger.ipAddress
}
