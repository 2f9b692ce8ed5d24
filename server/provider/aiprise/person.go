package aiprise

import "github.com/verigate/verigate/server/verification"

// userData is what AiPrise may be told of the person, with the keys of its
// OpenAPI description. It is personal: it goes into a request and nowhere else.
type userData struct {
	FirstName    string   `json:"first_name,omitempty"`
	MiddleName   string   `json:"middle_name,omitempty"`
	LastName     string   `json:"last_name,omitempty"`
	DateOfBirth  string   `json:"date_of_birth,omitempty"`
	PhoneNumber  string   `json:"phone_number,omitempty"`
	EmailAddress string   `json:"email_address,omitempty"`
	IPAddress    string   `json:"ip_address,omitempty"`
	Address      *address `json:"address,omitempty"`
}

type address struct {
	Street1 string `json:"address_street_1,omitempty"`
	Street2 string `json:"address_street_2,omitempty"`
	City    string `json:"address_city,omitempty"`
	State   string `json:"address_state,omitempty"`
	ZipCode string `json:"address_zip_code,omitempty"`
	Country string `json:"address_country,omitempty"`
}

// userDataOf returns what is set; nil if nothing is.
func userDataOf(known *verification.UserData) *userData {
	if known == nil {
		return nil
	}
	data := userData{
		FirstName:    known.FirstName,
		MiddleName:   known.MiddleName,
		LastName:     known.LastName,
		DateOfBirth:  known.DateOfBirth,
		PhoneNumber:  known.PhoneNumber,
		EmailAddress: known.EmailAddress,
		IPAddress:    known.IPAddress,
		Address:      addressOf(known.Address),
	}
	if data == (userData{}) {
		return nil
	}
	return &data
}

func addressOf(known *verification.Address) *address {
	if known == nil || *known == (verification.Address{}) {
		return nil
	}
	return &address{
		Street1: known.Street1,
		Street2: known.Street2,
		City:    known.City,
		State:   known.State,
		ZipCode: known.ZipCode,
		Country: known.Country,
	}
}
