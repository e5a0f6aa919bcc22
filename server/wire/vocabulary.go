package wire

import (
	"net/http"
	"slices"

	"example.com/umpire/uma"
)

// A Phrase is the status and the code for a reason, and the sentence for a refusal whose
// fault has none.
type Phrase struct {
	Status      int
	Code        string
	Description string
}

// A Vocabulary is how a face words refusals.
type Vocabulary struct {
	Phrases   map[uma.Reason]Phrase
	Sentences Sentences // beside Plain

	// Fixed are the reasons that are said in the same bytes whatever the request was
	// about: what another owner has is said as what is not there.
	Fixed []uma.Reason
}

// Words returns what a face says of a refusal.
func (v *Vocabulary) Words(e *uma.Error) Refusal {
	p, ok := v.Phrases[e.Reason]
	if !ok {
		p = Phrase{Status: http.StatusInternalServerError, Code: "server_error"}
	}
	r := Refusal{
		Status: p.Status, Code: p.Code, Description: p.Description,
		Ticket: e.Ticket, Interval: e.Interval, RequiredClaims: e.RequiredClaims,
		Retry: p.Status == http.StatusServiceUnavailable,
	}
	if said := v.Sentences.Say(e.Fault); said != "" && !slices.Contains(v.Fixed, e.Reason) {
		r.Description = said
	}
	return r
}
