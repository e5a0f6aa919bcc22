package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"example.com/umpire/uma"
)

// A State is the result for one scope.
type State string

// The states.
const (
	Granted  State = "granted"
	Refused  State = "refused"
	NeedInfo State = "need_info" // a claim is wanted
	Submit   State = "submit"    // the owner is to be asked
	Failed   State = "error"     // the policy gave no answer, or one against the contract
)

// A side is one of two results of a decision that are compared.
type side struct {
	result  []byte // JSON, as a record has it
	decided []uma.ScopeDecision
	failed  bool
	late    bool // it failed because it missed its deadline

	answer // of result
}

// An answer is a policy's result with what clients and resource servers see of it.
type answer struct {
	Granted     []uma.Scope      `json:"granted"`
	NeedInfo    []map[string]any `json:"need_info"`
	Submit      []uma.Scope      `json:"submit"`
	Obligations []any            `json:"obligations"`
	RestsOn     []string         `json:"rests_on"`
	RPT         map[string]any   `json:"rpt"`
}

// read reads the result, unless the side failed, and checks it against the contract.
func (s *side) read(d *Decision) error {
	if s.failed || len(s.result) == 0 {
		s.failed = true
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(s.result))
	dec.UseNumber()
	if err := dec.Decode(&s.answer); err != nil {
		return fmt.Errorf("read the result of decision %s: %w", d.ID, err)
	}
	s.failed = !s.keepsContract(d)
	return nil
}

// keepsContract is the check that the server makes of each answer: what is granted and
// submitted was requested, and what it rests on is among the candidate shares.
func (s *side) keepsContract(d *Decision) bool {
	for _, scope := range slices.Concat(s.Granted, s.Submit) {
		if scope != uma.Everything && !slices.Contains(d.Scopes, scope) {
			return false
		}
	}
	return !slices.ContainsFunc(s.RestsOn, func(id string) bool { return !slices.Contains(d.shares, id) })
}

// state is the result for a scope.
func (s *side) state(scope uma.Scope) State {
	switch {
	case s.failed:
		return Failed
	case covers(s.Granted, scope):
		return Granted
	case covers(s.Submit, scope):
		return Submit
	case len(s.wanted(scope)) > 0 && !s.denied(scope):
		return NeedInfo
	}
	return Refused
}

func covers(scopes []uma.Scope, scope uma.Scope) bool {
	return slices.Contains(scopes, scope) || slices.Contains(scopes, uma.Everything)
}

// wanted are the claims that are wanted for a scope. A claim without scopes is wanted for
// all.
func (s *side) wanted(scope uma.Scope) (claims []map[string]any) {
	for _, claim := range s.NeedInfo {
		scopes, _ := claim["scopes"].([]any)
		if len(scopes) == 0 || slices.Contains(scopes, any(string(scope))) || slices.Contains(scopes, any(string(uma.Everything))) {
			claims = append(claims, claim)
		}
	}
	return claims
}

// denied reports whether a rule with a label denied a scope: then no claim is wanted for it.
func (s *side) denied(scope uma.Scope) bool {
	return slices.ContainsFunc(s.decided, func(d uma.ScopeDecision) bool {
		return d.Scope == scope && d.Decision == "denied" && len(d.Rules) > 0
	})
}

// rules are the rules that decided a scope.
func (s *side) rules(scope uma.Scope) []string {
	for _, d := range s.decided {
		if d.Scope == scope && !s.failed {
			return append([]string{}, d.Rules...)
		}
	}
	return []string{}
}

// differs reports whether two sides with the same state of a scope differ in what follows
// from it: the claims that are wanted, the obligations, and of a grant the instructions for
// the RPT.
func (s *side) differs(other *side, scope uma.Scope, state State) bool {
	switch {
	case state == Failed:
		return false
	case state == NeedInfo && !reflect.DeepEqual(s.wanted(scope), other.wanted(scope)),
		state == Granted && !equal(s.RPT, other.RPT):
		return true
	}
	return !equal(s.Obligations, other.Obligations)
}

// equal compares two JSON values; those that are absent are empty.
func equal[T map[string]any | []any](a, b T) bool {
	return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b)
}
