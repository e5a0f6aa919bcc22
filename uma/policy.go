package uma

import (
	"context"
	"fmt"
	"time"
)

// Policy decides in an authorization assessment (§3.3.4).
type Policy interface {
	// Prepare returns the policy in force of a realm, so that the same revision decides
	// all permissions of a request. An error means that the realm has no policy that
	// works; it is the context's if that ends first.
	Prepare(ctx context.Context, realm *Realm) (Evaluator, error)
}

// PreparePolicy returns the policy in force of a realm, or PolicyFailed if it has none.
func PreparePolicy(ctx context.Context, p Policy, s *Snapshot) (Evaluator, error) {
	policy, err := p.Prepare(ctx, &s.Realm)
	switch {
	case err == nil:
		return policy, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("prepare policy: %w", err)
	}
	return nil, Reject(PolicyFailed, Fault{}, err)
}

// An Evaluator is one revision of one realm's policy. It is safe for concurrent
// use.
type Evaluator interface {
	// Revision is the hash of the policy's sources.
	Revision() string

	// Decide evaluates the entry point for one permission. An error means that the answer
	// does not have the shape of policies/schemas/output-v1.json: it is undefined, in
	// conflict or late. A refusal is no error, nor is a built-in function that failed,
	// because a client could cause that with its claims: then Evaluation.Failed names the
	// function, and the Output grants nothing. Decide does not check that the Output keeps
	// to the scopes that were asked for: its caller does. With an error, too, the
	// Evaluation has all that is known.
	Decide(ctx context.Context, in *Input) (*Evaluation, error)

	// Recall returns what Decide returned for an input from which the policy reads the same,
	// if the policy is a function of that and the answer was kept; nil otherwise. It takes no
	// longer than to read the input. Nobody may change what the Evaluation refers to: other
	// requests have it, too.
	Recall(in *Input) *Evaluation

	// Masks reports whether Encode evaluates masks, which may take as long as a decision.
	Masks() bool

	// Encode makes the decision log event of a decision: JSON, masked by the realm's
	// data.system.log.mask. If masking fails, or ctx ends before it, the event is a stub
	// without any value that a mask could have removed, and the error says why.
	Encode(ctx context.Context, ev *Event) ([]byte, error)
}

// An Evaluation is the result of one evaluation of the entry point.
type Evaluation struct {
	Output     Output
	RuleLabels []map[string]any // of the annotated rules that held, whether or not they decided

	// Decided has the decision on each requested scope and the rules that made it. It is
	// nil if that is unknown: there is no answer, or the realm has its own entry point.
	Decided []ScopeDecision

	NDCache []byte // nd_builtin_cache, JSON; nil if no such built-in was called
	Took    time.Duration
	Cached  bool // it is that of an earlier decision, see Evaluator.Recall

	// Failed names the built-in functions that failed, if any. Then Output is empty,
	// whatever the policy answered, and the event has Failed as its error.
	Failed string
}

// A ScopeDecision is the policy's decision on one requested scope.
type ScopeDecision struct {
	Scope    Scope    // Everything for a resource without scopes
	Decision string   // granted, denied, or what the policy wants: need_info or submit
	Rules    []string // the rules with labels that decided, as team/rule

	// Places are those of all rules that decided, for questions about a policy. An Evaluator
	// leaves them out.
	Places []RulePlace
}

// A RulePlace is where a rule is: a path in the realm's policy, or in the library.
type RulePlace struct {
	Rule string `json:"rule"` // empty for a rule without labels
	File string `json:"file"`
	Line int    `json:"line"`
}

// Output is the policy's answer for one permission, version 1
// (policies/schemas/output-v1.json).
type Output struct {
	Granted     []Scope
	NeedInfo    []Need
	Submit      []Scope
	Reasons     []string
	Obligations []Obligation
	RestsOn     []string // ids of shares
	RPT         RPTInstructions

	// SharesUnknown: the answer has no rests_on, so that the grant rests on all candidate
	// shares.
	SharesUnknown bool
}

// Everything stands for all requested scopes; of a resource without scopes, for the resource.
const Everything Scope = "*"

// A Need is a claim that the policy wants.
type Need struct {
	RequiredClaim
	Scopes   []Scope
	Redirect *string
}

// An Obligation is an instruction for the resource server.
type Obligation struct {
	ID         string
	Type       string
	Properties map[string]any
}

// RPTInstructions shape the RPT of a grant.
type RPTInstructions struct {
	TTL    int // seconds; may only shorten
	Claims map[string][]string
}

// Input is the policy's input for one permission, version 1
// (policies/schemas/input-v1.json). engine.writeInput names its members. It has no secret
// and no token.
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

	// Now is the time of the evaluation. Context.Time is the same as text.
	Now time.Time
}

// InputSubject is the requesting party.
type InputSubject struct {
	ID          string
	Type        string // user, service, external, anonymous
	Username    string
	Issuer      string // the URL; of a party of a trusted issuer, empty for others
	ExternalID  string // the issuer's subject; the same
	ACR         string
	AuthTime    int64
	Roles       []string
	ClientRoles map[string][]string
	Groups      []string
	GroupsKnown bool // false: the party may have more groups than these
	Scopes      []string
	Attributes  map[string]any
}

// InputClaims are the claims of the request.
type InputClaims struct {
	Verified map[string]any
	Pushed   map[string][]string
	Tokens   []InputClaimToken
}

// InputClaimToken is the result of verifying a claim token.
type InputClaimToken struct {
	Format   string
	Issuer   string
	Verified bool           // it verifies, and is bound to the requesting party
	Bound    bool           // it is about the requesting party
	Reason   string         // why its claims, or some of them, do not count
	Claims   map[string]any // of a verified one
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

// InputShare is a candidate: uma.sharing decides whether it is for this party.
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

// InputTicket identifies the ticket but cannot be used as one.
type InputTicket struct {
	ID       string // a hash of the stored hash
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

// An Event is a decision from which Evaluator.Encode makes OPA's decision log event.
type Event struct {
	ID        string // decision_id
	Batch     string // batch_decision_id: the same for all permissions of a request
	Input     *Input
	Output    *Output // nil if there was none
	Eval      *Evaluation
	Error     string  // why the policy gave no answer, or why the decision came to nothing
	Answered  string  // see Record.Answered
	Asked     []Scope // what the owner is asked for; {Everything} for a resource without scopes
	Path      string  // of the entry point, such as uma/authz/decision
	Labels    map[string]string
	Timestamp time.Time
}

// RuleName is the name of a rule in records, by its labels: team/rule, or rule if there is no
// team. It is empty if there is no label rule.
func RuleName(labels map[string]any) string {
	name, _ := labels["rule"].(string)
	if team, ok := labels["team"].(string); ok && name != "" {
		return team + "/" + name
	}
	return name
}
