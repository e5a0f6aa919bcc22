package uma

import (
	"fmt"
	"strings"
)

// A Fault says what is wrong and with what: a face puts it into words. The zero Fault
// says that the Reason is all there is to say.
type Fault struct {
	Kind FaultKind

	// What it is about. Each kind says which of these it has.
	Parameter string // of a form, or member of a body
	Value     string // as it was given
	Resource  string // id, name or URI, as the request names it
	Scopes    []Scope
	Client    string // client_id
	User      string // username, subject id or e-mail address
	Owner     string
	Name      string // of a policy or a resource
	Setting   string // of the realm file
	Limit     int
}

// String is the fault in the log: its kind and what it is about.
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(string(f.Kind))
	for _, fact := range []struct{ name, value string }{
		{"parameter", f.Parameter}, {"value", f.Value}, {"resource", f.Resource}, {"client", f.Client}, {"user", f.User},
		{"owner", f.Owner}, {"name", f.Name}, {"setting", f.Setting},
	} {
		if fact.value != "" {
			fmt.Fprintf(&b, " %s=%q", fact.name, fact.value)
		}
	}
	if len(f.Scopes) > 0 {
		fmt.Fprintf(&b, " scopes=%q", f.Scopes)
	}
	if f.Limit != 0 {
		fmt.Fprintf(&b, " limit=%d", f.Limit)
	}
	return b.String()
}

// A FaultKind is a kind of fault. server/wire has a sentence for each, and a face its
// own where its clients know another.
type FaultKind string

// Faults of any request.
const (
	Missing FaultKind = "missing" // Parameter
)

// Faults of the UMA grant.
const (
	AudienceMissing    FaultKind = "audience_missing"
	AudienceUnknown    FaultKind = "audience_unknown"   // Client
	AudienceIsNoServer FaultKind = "audience_no_server" // Client: it is no resource server

	PartyUnknown             FaultKind = "party_unknown"               // nothing says who asks
	SignatureInvalid         FaultKind = "signature_invalid"           // of a claim token
	ClaimTokenMissing        FaultKind = "claim_token_missing"         // that its format announces
	ClaimFormatUnknown       FaultKind = "claim_format_unknown"        // Value
	ClaimTokenOfOtherClient  FaultKind = "claim_token_of_other_client" // it was issued to another
	ClaimTokenOfOtherSubject FaultKind = "claim_token_of_other_subject"
	ClaimTokenExpired        FaultKind = "claim_token_expired"
	ClaimTokenUnsigned       FaultKind = "claim_token_unsigned" // it is no signed JWT
	ClaimsMalformed          FaultKind = "claims_malformed"     // pushed claims
	ClaimsTooLarge           FaultKind = "claims_too_large"     // pushed claims; Limit in bytes

	ResourceUnknown    FaultKind = "resource_unknown"     // Resource: an id, or an id or a name
	NameUnknown        FaultKind = "name_unknown"         // Resource: a name
	URIUnknown         FaultKind = "uri_unknown"          // Resource: a URI
	TypeMissing        FaultKind = "type_missing"         // Value: what it is missing after
	ScopeUnknown       FaultKind = "scope_unknown"        // Scopes: one
	ScopesUnknown      FaultKind = "scopes_unknown"       // Scopes: all of them
	ScopeUnavailable   FaultKind = "scope_unavailable"    // Scopes: one that no resource of the ticket has
	TooManyPermissions FaultKind = "too_many_permissions" // Setting, Limit
	RPTTooLong         FaultKind = "rpt_too_long"         // Value and Limit, in characters
	KeepsChanging      FaultKind = "keeps_changing"       // what the grant rests on
)
