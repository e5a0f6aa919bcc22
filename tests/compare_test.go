package tests

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// A comparer holds a recorded answer against an answer, by the rules of
// testdata/photoz/README.md. Names such as <id 1> are bound where they first
// appear.
type comparer struct {
	base  string
	bound map[string]string // `id 1`, `ticket 2`, `RPT 1`, ... to what they stand for

	// resource is the id of a resource of the realm, or empty.
	resource func(name string) string

	// sent is the `<uuid>` of the request, if it had one: an id that appears
	// first inside an error text is that.
	sent string

	anyOrder bool // of permissions
}

// What the strict client allows in representations.
var (
	resourceMembers = []string{
		"_id", "name", "type", "owner", "ownerManagedAccess", "displayName", "attributes", "uris", "icon_uri",
		"scopes", "resource_scopes",
	}
	scopeMembers = []string{"id", "name", "iconUri", "displayName", "policies", "resources"}
	ownerMembers = []string{"id", "name"}
)

// times are the members that only say when or how long.
var times = []string{"exp", "iat", "nbf", "auth_time", "expires_in", "refresh_expires_in", "not-before-policy"}

var placeholder = regexp.MustCompile(`<[^<>]+>`)

// compare returns what is wrong with got, a line each. The kind of the answer
// follows from its shape and from where it came.
func (c *comparer) compare(path string, want, got any) []string {
	switch want := want.(type) {
	case map[string]any:
		return c.object(path, want, got)
	case []any:
		return c.list(path, want, got)
	case string:
		return c.text(path, want, got)
	}
	if want != got {
		return []string{differ(path, want, got)}
	}
	return nil
}

func differ(path string, want, got any) string {
	return fmt.Sprintf("%s: want %s, got %s", path, show(want), show(got))
}

func show(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // names are read as <id 1>
	if err := enc.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSpace(b.String())
}

func (c *comparer) object(path string, want map[string]any, got any) []string {
	if _, ok := want["permissions"]; ok && strings.HasSuffix(path, ".access_token") {
		return c.accessToken(path, want, got)
	}
	have, ok := got.(map[string]any)
	if !ok {
		return []string{differ(path, want, got)}
	}
	var wrong []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		value, ok := have[name]
		if !ok {
			wrong = append(wrong, fmt.Sprintf("%s.%s: missing, want %s", path, name, show(want[name])))
			continue
		}
		if name == "scope" && isToken(want) { // a set, written as a string
			wrong = append(wrong, c.set(path+".scope", words(want[name]), words(value))...)
			continue
		}
		wrong = append(wrong, c.compare(path+"."+name, want[name], value)...)
	}
	may, free := c.mayHold(path, want)
	for _, name := range slices.Sorted(maps.Keys(have)) {
		_, recorded := want[name]
		if !recorded && !free && !slices.Contains(may, name) && !slices.Contains(times, name) {
			wrong = append(wrong, fmt.Sprintf("%s.%s: not recorded and not allowed: %s", path, name, show(have[name])))
		}
	}
	return append(wrong, c.representation(path, want, have)...)
}

// mayHold is which members an object may have beside the recorded ones; free:
// any.
func (c *comparer) mayHold(path string, want map[string]any) (may []string, free bool) {
	switch {
	case isResource(want):
		return resourceMembers, false
	case strings.HasSuffix(path, ".owner"):
		return ownerMembers, false
	case strings.HasSuffix(strings.TrimRight(path, "[0123456789]"), "scopes"):
		return scopeMembers, false
	case isToken(want) && path == "answer":
		return nil, true
	}
	return nil, false
}

// isToken tells the answers of the token endpoint that hold tokens.
func isToken(m map[string]any) bool { _, ok := m["token_type"]; return ok }

func words(v any) []any {
	text, _ := v.(string)
	var list []any
	for _, w := range strings.Fields(text) {
		list = append(list, w)
	}
	return list
}

func isResource(m map[string]any) bool { _, ok := m["_id"]; return ok }

// representation checks those parts of a resource that were not recorded: they
// may hold nothing that a strict client refuses either.
func (c *comparer) representation(path string, want, have map[string]any) []string {
	if !isResource(want) {
		return nil
	}
	var wrong []string
	check := func(path string, v any, allowed []string) {
		m, ok := v.(map[string]any)
		if !ok {
			wrong = append(wrong, fmt.Sprintf("%s: want an object, got %s", path, show(v)))
		}
		for name := range m {
			if !slices.Contains(allowed, name) {
				wrong = append(wrong, fmt.Sprintf("%s.%s: a strict client refuses it", path, name))
			}
		}
	}
	for _, name := range []string{"scopes", "resource_scopes"} {
		if _, recorded := want[name]; recorded {
			continue
		}
		for i, s := range asList(have[name]) {
			check(fmt.Sprintf("%s.%s[%d]", path, name, i), s, scopeMembers)
		}
		if len(asList(have[name])) > 0 && len(asList(want["resource_scopes"])) == 0 {
			wrong = append(wrong, fmt.Sprintf("%s.%s: want no scopes, got %s", path, name, show(have[name])))
		}
	}
	return wrong
}

// accessToken compares the claims that an access token is shown as.
func (c *comparer) accessToken(path string, want map[string]any, got any) []string {
	raw, _ := got.(string)
	claims, err := decodePayload(raw)
	if err != nil {
		return []string{fmt.Sprintf("%s: want a JWT, got %s: %v", path, show(got), err)}
	}
	authorization, _ := claims["authorization"].(map[string]any)
	shown := map[string]any{
		"azp": claims["azp"], "aud": claims["aud"], "typ": claims["typ"], "user": claims["preferred_username"],
		"permissions": authorization["permissions"],
	}
	var wrong []string
	for name := range authorization {
		if name != "permissions" {
			wrong = append(wrong, fmt.Sprintf("%s.authorization.%s: may hold only permissions", path, name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		wrong = append(wrong, c.compare(path+"."+name, want[name], shown[name])...)
	}
	return wrong
}

func decodePayload(token string) (map[string]any, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("it has %d parts", len(parts))
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, err
	}
	var claims map[string]any
	return claims, json.Unmarshal(raw, &claims)
}

// list compares arrays: sets without order, permissions and anything else in
// the order shown.
func (c *comparer) list(path string, want []any, got any) []string {
	have, ok := got.([]any)
	if !ok {
		return []string{differ(path, want, got)}
	}
	if c.isSet(path, want) {
		return c.set(path, want, have)
	}
	if len(have) != len(want) {
		return []string{fmt.Sprintf("%s: want %d elements, got %d:\n    want %s\n    got  %s",
			path, len(want), len(have), show(want), show(have))}
	}
	var wrong []string
	for i := range want {
		wrong = append(wrong, c.compare(fmt.Sprintf("%s[%d]", path, i), want[i], have[i])...)
	}
	return wrong
}

func (c *comparer) isSet(path string, want []any) bool {
	name := path[strings.LastIndex(path, ".")+1:]
	switch name {
	case "scopes", "resource_scopes", "uris", "aud", "roles", "allowed-origins":
		return true
	case "permissions":
		return c.anyOrder
	case "answer":
		return c.anyOrder || !isPermissions(want)
	}
	return false
}

// isPermissions tells an answer of response_mode=permissions from lists of
// resources and requests.
func isPermissions(want []any) bool {
	if len(want) == 0 {
		return false
	}
	first, _ := want[0].(map[string]any)
	_, id := first["rsid"]
	_, scopes := first["scopes"]
	return id || scopes
}

// set pairs each wanted element with another one of those we have. Names that
// are bound on the way may rule a pairing out later, so it goes back then.
func (c *comparer) set(path string, want, have []any) []string {
	if len(want) == len(have) && c.pair(path, want, have) {
		return nil
	}
	var wrong []string
	left := slices.Clone(have)
	for _, w := range want {
		i := slices.IndexFunc(left, func(h any) bool { return c.matches(path, w, h) })
		if i < 0 {
			wrong = append(wrong, fmt.Sprintf("%s: missing %s", path, show(w)))
			continue
		}
		left = slices.Delete(left, i, i+1)
	}
	for _, h := range left {
		wrong = append(wrong, fmt.Sprintf("%s: unexpected %s", path, show(h)))
	}
	if wrong == nil {
		wrong = append(wrong, fmt.Sprintf("%s: names are used for different things:\n    want %s\n    got  %s",
			path, show(want), show(have)))
	}
	return wrong
}

func (c *comparer) pair(path string, want, have []any) bool {
	if len(want) == 0 {
		return true
	}
	for i, h := range have {
		before := maps.Clone(c.bound)
		rest := slices.Delete(slices.Clone(have), i, i+1)
		if len(c.compare(path+"[0]", want[0], h)) == 0 && c.pair(path, want[1:], rest) {
			return true
		}
		c.bound = before
	}
	return false
}

// matches compares without binding anything.
func (c *comparer) matches(path string, want, got any) bool {
	before := maps.Clone(c.bound)
	defer func() { c.bound = before }()
	return len(c.compare(path+"[0]", want, got)) == 0
}

// text compares strings with names in them.
func (c *comparer) text(path string, want string, got any) []string {
	have, ok := got.(string)
	if !ok {
		return []string{differ(path, want, got)}
	}
	want = strings.ReplaceAll(want, "{base}", c.base)
	switch want {
	case "<uuid>", "<ticket>", "<refresh_token>":
		if have == "" {
			return []string{differ(path, want, got)}
		}
		return nil
	}
	name := placeholder.FindString(want)
	if name == "" {
		if want != have {
			return []string{differ(path, want, got)}
		}
		return nil
	}
	before, after, _ := strings.Cut(want, name)
	value, ok := strings.CutPrefix(have, before)
	if ok {
		if known := c.known(name); known != "" && strings.HasPrefix(value, known) {
			return c.text(path, strings.Replace(want, name, known, 1), got)
		}
		value, ok = strings.CutSuffix(value, after)
	}
	if !ok || value == "" {
		return []string{differ(path, want, got)}
	}
	if reason := c.bind(name, value, before+after != ""); reason != "" {
		return []string{differ(path, want, got) + ": " + reason}
	}
	return nil
}

// known is what a name stands for, or empty.
func (c *comparer) known(name string) string {
	name = strings.Trim(name, "<>")
	if value := c.bound[name]; value != "" {
		return value
	}
	return c.resource(name)
}

// bind makes a name stand for a value. It says why it cannot: names of ids are
// one to one. Inside an error text an id is the one that was sent.
func (c *comparer) bind(name, value string, inText bool) string {
	if known := c.known(name); known != "" {
		return fmt.Sprintf("%s is %s", name, known)
	}
	name = strings.Trim(name, "<>")
	if !strings.HasPrefix(name, "id ") {
		return "nothing is known of that name"
	}
	if inText && c.sent != "" && value != c.sent {
		return fmt.Sprintf("%s was sent", c.sent)
	}
	for other, taken := range c.bound {
		if taken == value && strings.HasPrefix(other, "id ") {
			return fmt.Sprintf("that is <%s>", other)
		}
	}
	c.bound[name] = value
	return ""
}

// capture remembers what an answer brought into being, for later steps.
func (c *comparer) capture(got any) {
	body, _ := got.(map[string]any)
	for member, name := range map[string]string{"ticket": "ticket", "access_token": "RPT", "refresh_token": "refresh token"} {
		value, _ := body[member].(string)
		if value == "" {
			continue
		}
		n := 1
		for c.bound[fmt.Sprintf("%s %d", name, n)] != "" {
			n++
		}
		c.bound[fmt.Sprintf("%s %d", name, n)] = value
	}
}

// An exception is what the `umpire` member of a case says of one step.
type exception struct {
	Step        int                 `json:"step"`
	Status      []int               `json:"status"`
	Error       []string            `json:"error"`
	Description string              `json:"error_description"`
	Permissions map[string][]string `json:"permissions"`
	Compare     string              `json:"compare"`
	Why         string              `json:"why"`
}

// replaces tells an exception that replaces the whole recorded answer from one
// that says how far to compare.
func (x *exception) replaces() bool { return x.Status != nil || x.Error != nil }

// answer compares a whole answer: status and body, the latter nil when it was
// empty.
func (c *comparer) answer(x *exception, status int, want any, gotStatus int, got any) []string {
	if x == nil {
		x = &exception{}
	}
	if x.replaces() {
		return c.replaced(x, gotStatus, got)
	}
	if status != gotStatus {
		return []string{fmt.Sprintf("status: want %d, got %d", status, gotStatus)}
	}
	if status == 404 && got == nil {
		return nil
	}
	if want == nil {
		if got != nil && status < 300 && status != 200 {
			return []string{fmt.Sprintf("answer: want none, got %s", show(got))}
		}
		return nil
	}
	switch x.Compare {
	case "":
		return c.compare("answer", want, got)
	case "permissions in any order":
		c.anyOrder = true
		defer func() { c.anyOrder = false }()
		return c.compare("answer", want, got)
	case "only how many":
		w, h := asList(want), asList(got)
		if len(w) != len(h) {
			return []string{fmt.Sprintf("answer: want %d elements, got %d: %s", len(w), len(h), show(got))}
		}
		return nil
	case "these members and their values, others free":
		return c.members(want, got, slices.Sorted(maps.Keys(asObject(want)))...)
	case "active, aud, typ and permissions in any order; others free":
		c.anyOrder = true
		defer func() { c.anyOrder = false }()
		return c.members(want, got, "active", "aud", "typ", "permissions")
	case "active, aud, azp, iss, sub, username; others free":
		return c.members(want, got, "active", "aud", "azp", "iss", "sub", "username")
	case "sub, preferred_username, email and the names the user has":
		return c.members(want, got, "sub", "preferred_username", "email", "given_name", "family_name")
	case "issuer, token, introspection, jwks, permission and resource_registration endpoints (policy_endpoint once it is served) as here; name only what is served":
		return c.members(want, got, "issuer", "token_endpoint", "introspection_endpoint", "jwks_uri",
			"permission_endpoint", "resource_registration_endpoint", "policy_endpoint")
	case "issuer, token, introspection, revocation, userinfo and jwks endpoints as here; name only what is served":
		return c.members(want, got, "issuer", "token_endpoint", "introspection_endpoint", "revocation_endpoint",
			"userinfo_endpoint", "jwks_uri")
	case "the members realm, public_key, token-service, tokens-not-before":
		return append(c.members(want, got, "realm", "token-service", "tokens-not-before"), publicKey(got)...)
	case "a signing key with alg, kid, kty, use and its numbers":
		return signingKey(got)
	}
	return []string{fmt.Sprintf("nothing here knows how to compare %q", x.Compare)}
}

func asObject(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

// members compares some members of the answer and leaves the others free.
func (c *comparer) members(want, got any, names ...string) []string {
	w, h := asObject(want), asObject(got)
	var wrong []string
	for _, name := range names {
		value, ok := h[name]
		if !ok {
			wrong = append(wrong, fmt.Sprintf("answer.%s: missing, want %s", name, show(w[name])))
			continue
		}
		if name == "scope" {
			wrong = append(wrong, c.set("answer.scope", words(w[name]), words(value))...)
			continue
		}
		wrong = append(wrong, c.compare("answer."+name, w[name], value)...)
	}
	return wrong
}

// replaced compares with an exception that takes the place of what was
// recorded.
func (c *comparer) replaced(x *exception, status int, got any) []string {
	if !slices.Contains(x.Status, status) {
		return []string{fmt.Sprintf("status: want one of %v, got %d", x.Status, status)}
	}
	var wrong []string
	body := asObject(got)
	if x.Error != nil {
		code, _ := body["error"].(string)
		if !slices.Contains(x.Error, code) {
			wrong = append(wrong, fmt.Sprintf("answer.error: want one of %q, got %s", x.Error, show(body["error"])))
		}
		for _, name := range slices.Sorted(maps.Keys(body)) {
			if name != "error" && name != "error_description" {
				wrong = append(wrong, fmt.Sprintf("answer.%s: not allowed beside an error: %s", name, show(body[name])))
			}
		}
	}
	if x.Description != "" && body["error_description"] != x.Description {
		wrong = append(wrong, differ("answer.error_description", x.Description, body["error_description"]))
	}
	if x.Permissions != nil {
		wrong = append(wrong, c.byName(x.Permissions, got)...)
	}
	switch x.Why {
	case "", "owners are granted their own resources": // the permissions say it
	case "the resource server names the owner: owner.name is alice":
		if name := asObject(body["owner"])["name"]; name != "alice" {
			wrong = append(wrong, differ("answer.owner.name", "alice", name))
		}
	default:
		wrong = append(wrong, fmt.Sprintf("nothing here knows what follows from %q", x.Why))
	}
	return wrong
}

// byName compares permissions with a table of resource name to scopes.
func (c *comparer) byName(want map[string][]string, got any) []string {
	var wrong []string
	seen := map[string]bool{}
	for _, item := range asList(got) {
		name, _ := asObject(item)["rsname"].(string)
		scopes, ok := want[name]
		if !ok || seen[name] {
			wrong = append(wrong, fmt.Sprintf("answer: unexpected %s", show(item)))
			continue
		}
		seen[name] = true
		var have []string
		for _, s := range asList(asObject(item)["scopes"]) {
			have = append(have, fmt.Sprint(s))
		}
		if !slices.Equal(slices.Sorted(slices.Values(have)), slices.Sorted(slices.Values(scopes))) {
			wrong = append(wrong, differ("answer: scopes of "+name, scopes, have))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if !seen[name] {
			wrong = append(wrong, fmt.Sprintf("answer: missing %q with %s", name, show(want[name])))
		}
	}
	return wrong
}

// publicKey checks the key of the realm's own page: base64 of a public key.
func publicKey(got any) []string {
	text, _ := asObject(got)["public_key"].(string)
	der, err := base64.StdEncoding.DecodeString(text)
	if err == nil {
		_, err = x509.ParsePKIXPublicKey(der)
	}
	if err != nil {
		return []string{fmt.Sprintf("answer.public_key: want base64 of a public key, got %q: %v", text, err)}
	}
	return nil
}

// signingKey looks for one complete key in a key set.
func signingKey(got any) []string {
	for _, k := range asList(asObject(got)["keys"]) {
		key := asObject(k)
		number := func(name string) bool {
			text, _ := key[name].(string)
			raw, err := base64.RawURLEncoding.DecodeString(text)
			return err == nil && len(raw) > 0
		}
		if key["use"] == "sig" && key["alg"] == "RS256" && key["kty"] == "RSA" && key["kid"] != nil && key["kid"] != "" && number("n") && number("e") {
			return nil
		}
	}
	return []string{fmt.Sprintf("answer: want a signing key with alg, kid, kty, use and its numbers, got %s", show(got))}
}

// named are the addresses that a discovery document names.
func named(document map[string]any) []string {
	var urls []string
	for _, name := range slices.Sorted(maps.Keys(document)) {
		value, _ := document[name].(string)
		u, err := url.Parse(value)
		if err == nil && u.IsAbs() && name != "issuer" {
			urls = append(urls, value)
		}
	}
	return urls
}
