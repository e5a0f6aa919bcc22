package uma

// Terms of Keycloak's Authorization API before version 4 alone.

// TypeEntitlement is the `typ` claim of the RPTs of that API.
const TypeEntitlement = "kc_ett"

// A LegacyBy says how a LegacyPermission names its resource.
type LegacyBy byte

// The ways.
const (
	NoResource LegacyBy = iota // scopes alone
	ByID
	ByName
)

// A LegacyPermission is an entry of an entitlement or a permission request.
type LegacyPermission struct {
	By       LegacyBy
	Resource string
	Scopes   []Scope
}
