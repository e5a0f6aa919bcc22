package engine

// An Explanation says why a policy decided as it did about one permission.
type Explanation struct {
	Error  string           `json:"error,omitempty"` // why the policy gave no answer, or what failed
	Cut    string           `json:"cut,omitempty"`   // the bound that was reached: scopes from there on have no rules
	Scopes []ExplainedScope `json:"scopes"`
}

// An ExplainedScope is the decision on one requested scope, with the rules that could have
// decided it.
type ExplainedScope struct {
	Scope  string          `json:"scope"`  // "*" for a resource without scopes
	Result string          `json:"result"` // granted, refused, need_info, submit or error
	Rules  []ExplainedRule `json:"rules"`
}

// The results of a scope.
const (
	Granted  = "granted"
	Refused  = "refused"
	NeedInfo = "need_info"
	Submit   = "submit"
	Failed   = "error"
)

// An ExplainedRule is a rule with the conditions of its body. The conditions after the first
// one that did not hold are left out.
type ExplainedRule struct {
	Effect     string      `json:"effect,omitempty"` // grant, deny, need_info or submit; "" for a helper rule
	Name       string      `json:"name"`             // such as grant, or the name of a helper rule
	Label      string      `json:"label"`            // team/rule, or "" without labels
	Title      string      `json:"title"`
	File       string      `json:"file"`
	Line       int         `json:"line"`
	Held       bool        `json:"held"`
	Adds       []any       `json:"adds"` // what it added to its set about this scope, such as the claim that is wanted
	Conditions []Condition `json:"conditions"`
}

// A Condition is an expression of a rule as its author wrote it.
type Condition struct {
	Text      string          `json:"text"`
	Line      int             `json:"line"`
	Held      bool            `json:"held"`
	Undefined bool            `json:"undefined"`       // it did not hold because a value in it is undefined
	Values    map[string]any  `json:"values"`          // of the references, variables and calls in it; undefined ones are left out
	Because   []ExplainedRule `json:"because"`         // why a helper rule in it held, or did not
	Note      string          `json:"note,omitempty"`  // what the explanation does not show
	Error     string          `json:"error,omitempty"` // of a built-in function
}
