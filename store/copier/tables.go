package copier

import "strings"

// A Type is the type of a column, with its form in a Row.
type Type int

const (
	Integer Type = iota // int64
	Text                // string
	Bytes               // []byte, nil for NULL
	Bool                // bool
	List                // []string, nil without elements
)

// A Column is one of a table.
type Column struct {
	Name string
	Type Type
}

// A Table is rows of one kind. The first columns are the key: it identifies a row, and rows are
// read and written in its order, in which texts and bytes are compared byte by byte.
type Table struct {
	Name    string
	Key     int // how many columns the key has
	Columns []Column
}

// Names are the names of the columns.
func (t *Table) Names() []string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	return names
}

// The tables that are not stored as they are named here.
const (
	// Decision has the decision records.
	Decision = "decision"

	// Party has which identity a user who is a party has. It is not a column of users, because
	// users and identities refer to each other.
	Party = "party"

	// Number has the last numbers that were given, of Numbers.
	Number = "number"
)

// Numbers are the names of the rows of Number, sorted: the generation of all realms, the last version of a
// row, the last record, and for each of these tables the last key. None of them is used again, even
// if nothing is left that has it.
func Numbers() []string {
	return []string{"admin_use", "client", Decision, "generation", "identity", "invitation", "issuer", "policy_period", "realm",
		"request", "resource", "shadow_change", "share", "users", "version"}
}

// Tables are all tables of a database, each after those that it refers to. Those that are derived
// from others are not among them.
func Tables() []Table {
	return []Table{
		table("realm", "key:int; name settings generation:int applying:bool fingerprint:bytes names"),
		table("client", "key:int; realm:int id uuid secret:bytes enabled:bool details origin"),
		table("signing_key", "realm:int kid; alg public:bytes sealed:bytes created:int active:bool expires:int"),
		table("sealed", "name; value:bytes"),
		table("issuer", "key:int; realm:int alias url"),
		table("users", "key:int; realm:int id username folded password enabled:bool roles:list client_roles groups:list claims origin version:int"),
		table("identity", "key:int; issuer:int subject user_key:int service:bool"),
		table(Party, "user_key:int; identity:int"),

		table("scope", "server:int name; id origin"),
		table("resource", "key:int; id server:int owner own:bool name name_folded display_name type type_folded icon_uri uris:list scopes:list"+
			" owner_managed:bool attributes origin texts drifted:bool version:int"),
		table("resource_scope", "server:int scope name id; resource:int registered:int"),
		table("resource_uri", "server:int uri name id; resource:int registered:int"),
		table("uri_pattern", "server:int key uri id;"),
		table("uri_shape", "server:int shape; uses:int"),
		table("type_scope", "server:int type scope; uses:int"),
		table("dropped", "resource:int;"),
		table("request", "key:int; id server:int resource:int resource_id resource_name owner requester scope scope_id state"+
			" created:int decided:int version:int"),
		table("share", "key:int; id server:int resource:int resource_id owner name name_folded description scopes:list users:list roles:list"+
			" groups:list clients:list strategy version:int audience:int"),
		table("share_party", "resource:int party share:int;"),
		table("invitation", "key:int; id realm:int resource:int owner email scopes:list created:int taken_by taken:int"),

		table("ticket", "realm:int hash:bytes; server:int client subject permissions claims round:int interval:int gathered:bytes issued:int expires:int"),
		table("spent_ticket", "realm:int hash:bytes; client rpt expires:int"),
		table("session", "realm:int id; user_id client scope started:int expires:int ended:bool"),
		table("refresh_token", "realm:int hash:bytes; session client scope rpt expires:int spent:bool"),
		table("revocation", "realm:int jti; expires:int"),
		table("rpt", "realm:int jti; family within ticket:bytes session subject client server:int permissions revision generation:int"+
			" user_version:int expires:int keep:int"),
		table("spent_assertion", "realm:int client:int id:bytes; expires:int"),

		table("admin_token", "key:int; id realm name access note author hash:bytes created:int expires:int revoked:int uses:int"),
		table("admin_use", "seq:int; token nth:int name realm time:int ip request operation detail outcome"),

		table("policy_period", "key:int; realm revision content since:int until:int author source note pinned:bool confirm_by:int report"),
		table("policy_proposal", "realm; taken content source at:int problem report"),
		table("withdrawn_revision", "realm:int revision; generation:int"),
		table("policy_file", "key:int; realm hash:bytes encoding:int content:bytes"),
		table("revision", "key:int; realm hash since:int opa umpire"),
		table("revision_file", "revision:int path; beside:bool file:int"),
		table("shadow", "realm; revision cursor:int since:int problem counts version:int"),
		table("shadow_change", "key:int; realm revision change:bytes"),

		table(Decision, "seq:int; time:int id batch realm kind outcome answered subject client server resource revision request rules:list event:bytes"),
		table("sink", "name; kind realm target hold:int holder cursor:int delivered:int failed:int problem skipped:int cut:int"),
		table(Number, "name; value:int"),
	}
}

// table reads columns such as "key:int; name enabled:bool": those before the semicolon are the key,
// and one without a type is a text.
func table(name, columns string) Table {
	t := Table{Name: name}
	key, rest, _ := strings.Cut(columns, ";")
	t.Key = len(strings.Fields(key))
	for _, field := range strings.Fields(key + " " + rest) {
		column, of, _ := strings.Cut(field, ":")
		t.Columns = append(t.Columns, Column{column, types()[of]})
	}
	return t
}

func types() map[string]Type {
	return map[string]Type{"": Text, "int": Integer, "bytes": Bytes, "bool": Bool, "list": List}
}
