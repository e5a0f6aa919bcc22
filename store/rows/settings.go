package rows

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"example.com/umpire/uma"
)

// settings are a realm without its key, name and generation, as they are stored.
type settings struct {
	Enabled     bool                `json:"enabled"`
	Profile     uma.Profile         `json:"profile"`
	Lifetimes   lifetimes           `json:"lifetimes"`
	SigningAlg  string              `json:"signing_alg"`
	Policy      policySettings      `json:"policy"`
	TicketReuse bool                `json:"ticket_reuse"`
	Issuers     []uma.TrustedIssuer `json:"issuers,omitempty"`
	SinkHold    *time.Duration      `json:"sink_hold,omitempty"` // nil in realms of earlier versions: the default
}

// lifetimes are in nanoseconds.
type lifetimes struct {
	Access  time.Duration `json:"access"`
	RPT     time.Duration `json:"rpt"`
	Refresh time.Duration `json:"refresh"`
	Session time.Duration `json:"session"`
	Ticket  time.Duration `json:"ticket"`
	PCT     time.Duration `json:"pct"`
}

type policySettings struct {
	Bundle         string        `json:"bundle"`
	AllOrNothing   bool          `json:"all_or_nothing"`
	Timeout        time.Duration `json:"timeout"`
	MaxPermissions int           `json:"max_permissions"`
	ResubmitAfter  time.Duration `json:"resubmit_after"`
	Entrypoint     string        `json:"entrypoint"`
	Removed        []string      `json:"removed,omitempty"`
	Shadow         string        `json:"shadow,omitempty"`
	DecideAnew     bool          `json:"decide_anew,omitempty"`
	Manual         bool          `json:"manual,omitempty"`
	Gates          uma.Gates     `json:"gates,omitzero"`

	OPA *uma.OPASettings `json:"opa,omitempty"`
}

// SettingsText is the JSON of the settings of a realm: all but its key, name, generation and
// period.
func SettingsText(r *uma.Realm) (string, error) {
	b, err := json.Marshal(settings{
		Enabled: r.Enabled, Profile: r.Profile, Lifetimes: lifetimes(r.Lifetimes), SigningAlg: r.SigningAlg,
		Policy: policySettings(r.Policy), TicketReuse: r.TicketReuse, Issuers: r.Issuers,
		SinkHold: &r.SinkHold,
	})
	return string(b), err
}

// ReadSettings sets the settings of a realm to those of a text.
func ReadSettings(text string, r *uma.Realm) error {
	s, err := readSettings(text)
	if err == nil {
		s.fill(r)
	}
	return err
}

// WithoutIssuer is the text of settings without a trusted issuer.
func WithoutIssuer(text, alias string) (string, error) {
	s, err := readSettings(text)
	if err != nil {
		return "", err
	}
	s.Issuers = slices.DeleteFunc(s.Issuers, func(i uma.TrustedIssuer) bool { return i.Alias == alias })
	b, err := json.Marshal(s)
	return string(b), err
}

func readSettings(text string) (*settings, error) {
	kept := &settings{}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber() // as realm files have them
	return kept, dec.Decode(kept)
}

func (s *settings) fill(r *uma.Realm) {
	r.Enabled, r.Profile, r.Lifetimes, r.SigningAlg = s.Enabled, s.Profile, uma.Lifetimes(s.Lifetimes), s.SigningAlg
	r.Policy, r.TicketReuse = uma.PolicySettings(s.Policy), s.TicketReuse
	// Issuers of realm files of earlier versions, which had no effect, have no alias.
	r.Issuers = slices.DeleteFunc(s.Issuers, func(i uma.TrustedIssuer) bool { return i.Alias == "" })
	r.SinkHold = uma.DefaultHold
	if s.SinkHold != nil {
		r.SinkHold = *s.SinkHold
	}
}
