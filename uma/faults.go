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
