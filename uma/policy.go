package uma

import (
	"context"
	"time"
)

// Policy answers the question of an authorization assessment (§3.3.4).
type Policy interface {
	// Prepare returns the policy in force for a realm, so that all permissions
	// of a request are decided by the same revision. An error means that the
	// realm has none that works, or is the context's if the context ends first.
	Prepare(ctx context.Context, realm *Realm) (Evaluator, error)
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
// (policies/schemas/input-v1.json). It holds no secret and no token.
type Input struct {
	Version        string         `json:"version"`
	Realm          string         `json:"realm"`
	Kind           string         `json:"kind"`
	Subject        InputSubject   `json:"subject"`
	Claims         InputClaims    `json:"claims"`
	Client         InputClient    `json:"client"`
	ResourceServer string         `json:"resource_server"`
	Resource       *InputResource `json:"resource,omitempty"`
	Scopes         []Scope        `json:"scopes"`
	Shares         []InputShare   `json:"shares"`
	Requests       []InputRequest `json:"requests"`
	Ticket         *InputTicket   `json:"ticket,omitempty"`
	Context        InputContext   `json:"context"`

	// Now is Context.Time: the clock of the evaluation.
	Now time.Time `json:"-"`
}

// InputSubject is the requesting party.
type InputSubject struct {
	ID          string              `json:"id"`
	Type        string              `json:"type"` // user, service, external, anonymous
	Username    string              `json:"username,omitempty"`
	Issuer      string              `json:"issuer,omitempty"`
	ACR         string              `json:"acr,omitempty"`
	AuthTime    int64               `json:"auth_time,omitempty"`
	Roles       []string            `json:"roles"`
	ClientRoles map[string][]string `json:"client_roles"`
	Groups      []string            `json:"groups"`
	Scopes      []string            `json:"scopes"`
	Attributes  map[string]any      `json:"attributes"`
}

// InputClaims are the claims of the request.
type InputClaims struct {
	Verified map[string]any      `json:"verified"`
	Pushed   map[string][]string `json:"pushed"`
	Tokens   []InputClaimToken   `json:"tokens"`
}

// InputClaimToken is what became of a claim token.
type InputClaimToken struct {
	Format   string         `json:"format,omitempty"`
	Issuer   string         `json:"issuer,omitempty"`
	Verified bool           `json:"verified"`
	Reason   string         `json:"reason,omitempty"`
	Claims   map[string]any `json:"claims,omitempty"`
}

// InputClient is the client that asks.
type InputClient struct {
	ID            string         `json:"id"`
	Public        bool           `json:"public"`
	Authenticated bool           `json:"authenticated"`
	Scopes        []Scope        `json:"scopes,omitempty"`
	Metadata      map[string]any `json:"metadata,omitempty"`
}

// InputResource is the resource as the server knows it.
type InputResource struct {
	ID           ResourceID          `json:"id"`
	Name         string              `json:"name"`
	Type         string              `json:"type"`
	Owner        string              `json:"owner"`
	OwnerManaged bool                `json:"owner_managed"`
	URIs         []string            `json:"uris"`
	Scopes       []Scope             `json:"scopes"`
	Attributes   map[string][]string `json:"attributes"`
}

// InputShare is a candidate: uma.sharing decides whom it is for.
type InputShare struct {
	ID       string   `json:"id"`
	Kind     string   `json:"kind"`
	Name     string   `json:"name,omitempty"`
	Scopes   []Scope  `json:"scopes"`
	Users    []string `json:"users"`
	Roles    []string `json:"roles"`
	Groups   []string `json:"groups"`
	Clients  []string `json:"clients"`
	Strategy string   `json:"strategy"`
}

// InputRequest is a request of this party for this resource.
type InputRequest struct {
	ID      string  `json:"id"`
	State   string  `json:"state"` // pending or denied
	Scopes  []Scope `json:"scopes"`
	Created string  `json:"created,omitempty"` // RFC 3339
}

// InputTicket identifies the ticket without giving it away.
type InputTicket struct {
	ID       string `json:"id"` // a hash of the hash
	IssuedAt string `json:"issued_at"`
	Round    int    `json:"round"`
}

// InputContext is about the HTTP request.
type InputContext struct {
	Time       string         `json:"time"` // RFC 3339, UTC
	IP         string         `json:"ip,omitempty"`
	UserAgent  string         `json:"user_agent,omitempty"`
	RequestID  string         `json:"request_id,omitempty"`
	TraceID    string         `json:"trace_id,omitempty"`
	Properties map[string]any `json:"properties"`
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
