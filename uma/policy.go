package uma

import (
	"context"
	"fmt"
	"time"
)

// Policy answers the question of an authorization assessment (§3.3.4).
type Policy interface {
	// Prepare returns the policy in force for a realm, so that all permissions
	// of a request are decided by the same revision. An error means that the
	// realm has none that works, or is the context's if the context ends first.
	Prepare(ctx context.Context, realm *Realm) (Evaluator, error)
}

// PreparePolicy returns the policy in force for a realm; PolicyFailed if there is none.
func PreparePolicy(ctx context.Context, p Policy, s *Snapshot) (Evaluator, error) {
	policy, err := p.Prepare(ctx, &s.Realm)
	switch {
	case err == nil:
		return policy, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("prepare policy: %w", err)
	}
	return nil, Refuse(PolicyFailed, "", err)
}

// An Evaluator is one revision of one realm's policy. It is safe for concurrent
// use.
type Evaluator interface {
	// Revision is the hash of the policy's sources.
	Revision() string

	// Decide evaluates the entry point for one permission. An error means that
	// the policy gave no answer of the shape policies/schemas/output-v1.json: it was
	// undefined, ran into a conflict or its deadline, and never that it
	// refused. A built-in function that failed is no error, since what a client
	// pushes could provoke it: Evaluation.Failed names it and the Output grants
	// nothing. Scopes are not compared with what was asked: that is the
	// Authority's contract check. The Evaluation is filled as far as it goes
	// when there is an error, too.
	Decide(ctx context.Context, in *Input) (*Evaluation, error)

	// Masks reports whether Encode evaluates masks, which takes as long as a
	// decision may.
	Masks() bool

	// Encode turns a decision into its decision log event: JSON, masked by the realm's
	// data.system.log.mask. If masking fails it returns a stub that holds nothing that
	// could have been masked, and the error. If ctx ends before the masks, the event is
	// such a stub.
	Encode(ctx context.Context, ev *Event) ([]byte, error)
}

// An Evaluation is one answer and what evaluating it took.
type Evaluation struct {
	Output     Output
	RuleLabels []map[string]any // of the annotated rules that held, whether or not they decided

	// Decided has the decision on each requested scope and the rules that made it. It
	// is nil if that is not known: there was no answer, or the entry point is the
	// realm's own.
	Decided []ScopeDecision

	NDCache []byte // nd_builtin_cache, JSON; nil when no such built-in was called
	Took    time.Duration

	// Failed says which built-in functions failed, if any: then Output is empty,
	// whatever the policy said, and Encode writes it as the event's error.
	Failed string
}

// A ScopeDecision is the policy's decision on one requested scope.
type ScopeDecision struct {
	Scope    Scope    // Everything for a resource without scopes
	Decision string   // granted, denied, or what the policy wants: need_info or submit
	Rules    []string // those that decided, as team/rule; empty: no rule with labels did
}

// Output is what the policy decides of one permission, version 1
// (policies/schemas/output-v1.json).
type Output struct {
	Granted     []Scope         `json:"granted"`
	NeedInfo    []Need          `json:"need_info"`
	Submit      []Scope         `json:"submit"`
	Reasons     []string        `json:"reasons"`
	Obligations []Obligation    `json:"obligations"`
	RestsOn     []string        `json:"rests_on"` // ids of shares
	RPT         RPTInstructions `json:"rpt"`

	// SharesUnknown says that the entry point did not name rests_on: then all
	// candidate shares count.
	SharesUnknown bool `json:"-"`
}

// Everything stands for all that is asked, and for a resource without scopes.
const Everything Scope = "*"

// A Need is a claim that the policy wants.
type Need struct {
	RequiredClaim
	Scopes   []Scope `json:"scopes,omitempty"`
	Redirect *string `json:"redirect,omitempty"`
}

// An Obligation is something the resource server is to do.
type Obligation struct {
	ID         string         `json:"id"`
	Type       string         `json:"type,omitempty"`
	Properties map[string]any `json:"properties,omitempty"`
}

// RPTInstructions shape the RPT of a grant.
type RPTInstructions struct {
	TTL    int                 `json:"ttl,omitempty"` // seconds; may only shorten
	Claims map[string][]string `json:"claims,omitempty"`
}

// Input is what the policy is told of one permission, version 1
// (policies/schemas/input-v1.json). engine.writeInput names its members. It holds no
// secret and no token.
type Input struct {
	Version        string
	Realm          string
	Kind           string
	Subject        InputSubject
	Claims         InputClaims
	Client         InputClient
	ResourceServer string
	Resource       *InputResource
	Scopes         []Scope
	Shares         []InputShare
	Requests       []InputRequest
	Ticket         *InputTicket
	Context        InputContext

	// Now is Context.Time: the clock of the evaluation.
	Now time.Time
}

// InputSubject is the requesting party.
type InputSubject struct {
	ID          string
	Type        string // user, service, external, anonymous
	Username    string
	ACR         string
	AuthTime    int64
	Roles       []string
	ClientRoles map[string][]string
	Groups      []string
	Scopes      []string
	Attributes  map[string]any
}

// InputClaims are the claims of the request.
type InputClaims struct {
	Verified map[string]any
	Pushed   map[string][]string
	Tokens   []InputClaimToken
}

// InputClaimToken is what became of a claim token.
type InputClaimToken struct {
	Format   string
	Issuer   string
	Verified bool
	Reason   string
	Claims   map[string]any
}

// InputClient is the client that asks.
type InputClient struct {
	ID            string
	Public        bool
	Authenticated bool
	Scopes        []Scope
}

// InputResource is the resource as the server knows it.
type InputResource struct {
	ID           ResourceID
	Name         string
	Type         string
	Owner        string
	OwnerManaged bool
	URIs         []string
	Scopes       []Scope
	Attributes   map[string][]string
}

// InputShare is a candidate: uma.sharing decides whom it is for.
type InputShare struct {
	ID       string
	Kind     string
	Name     string
	Scopes   []Scope
	Users    []string
	Roles    []string
	Groups   []string
	Clients  []string
	Strategy string
}

// InputRequest is a request of this party for this resource.
type InputRequest struct {
	ID      string
	State   string // pending or denied
	Scopes  []Scope
	Created string // RFC 3339
}

// InputTicket identifies the ticket without giving it away.
type InputTicket struct {
	ID       string // a hash of the hash
	IssuedAt string
	Round    int
}

// InputContext is about the HTTP request.
type InputContext struct {
	Time      string // RFC 3339, UTC
	IP        string
	UserAgent string
	RequestID string
	TraceID   string
}

// An Event is a decision on its way into the record: what Evaluator.Encode
// turns into OPA's decision log event.
type Event struct {
	ID        string // decision_id
	Batch     string // batch_decision_id: the same for all permissions of a request
	Input     *Input
	Output    *Output // nil when there was none
	Eval      *Evaluation
	Error     string // why the policy gave no answer, or ticket_spent
	Answered  string // see Record.Answered
	Path      string // of the entry point, such as uma/authz/decision
	Labels    map[string]string
	Timestamp time.Time
}

// RuleName is a rule's name in records by its labels: team/rule, or the rule alone
// if it has no team. It is empty for a rule without that label.
func RuleName(labels map[string]any) string {
	name, _ := labels["rule"].(string)
	if team, ok := labels["team"].(string); ok && name != "" {
		return team + "/" + name
	}
	return name
}
