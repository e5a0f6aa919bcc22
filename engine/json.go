package engine

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"example.com/umpire/uma"
)

// A writer appends JSON to a buffer. Members come in a fixed order, those of
// maps sorted, so that equal documents have equal bytes. A record is written per
// permission: encoding/json would take twice as long.
type writer struct {
	buf []byte
	err error // of the first value that is no JSON
}

// open begins an object, close ends it; name begins a member.
func (w *writer) open() { w.buf = append(w.buf, '{') }
func (w *writer) close() {
	if w.buf[len(w.buf)-1] == ',' {
		w.buf = w.buf[:len(w.buf)-1]
	}
	w.buf = append(w.buf, '}')
}

// name begins a member whose value ends with next.
func (w *writer) name(name string) {
	w.buf = append(w.buf, '"')
	w.buf = append(w.buf, name...)
	w.buf = append(w.buf, '"', ':')
}
func (w *writer) next() { w.buf = append(w.buf, ',') }

func (w *writer) text(name, s string) {
	w.name(name)
	w.string(s)
	w.next()
}

func (w *writer) optional(name, s string) {
	if s != "" {
		w.text(name, s)
	}
}

func (w *writer) number(name string, n int64) {
	w.name(name)
	w.buf = strconv.AppendInt(w.buf, n, 10)
	w.next()
}

func (w *writer) bool(name string, v bool) {
	w.name(name)
	w.buf = strconv.AppendBool(w.buf, v)
	w.next()
}

func (w *writer) raw(name string, json []byte) {
	w.name(name)
	w.buf = append(w.buf, json...)
	w.next()
}

// values writes a map whose values are of any type.
func (w *writer) values(name string, m map[string]any) {
	if len(m) == 0 {
		w.raw(name, []byte("{}"))
		return
	}
	w.marshal(name, m)
}

func (w *writer) marshal(name string, v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		w.err = err
		raw = []byte("null")
	}
	w.raw(name, raw)
}

func (w *writer) lists(name string, m map[string][]string) {
	w.name(name)
	w.open()
	for _, k := range sortedKeys(m) {
		w.string(k)
		w.buf = append(w.buf, ':')
		writeElems(w, m[k])
		w.next()
	}
	w.close()
	w.next()
}

// sortedKeys is slices.Sorted of maps.Keys in one allocation.
func sortedKeys[V any](m map[string]V) []string {
	keys := slices.AppendSeq(make([]string, 0, len(m)), maps.Keys(m))
	slices.Sort(keys)
	return keys
}

// string writes a JSON string; encoding/json is asked only where something must
// be escaped.
func (w *writer) string(s string) {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			escaped, _ := json.Marshal(s) // a string is always JSON
			w.buf = append(w.buf, escaped...)
			return
		}
	}
	w.buf = append(w.buf, '"')
	w.buf = append(w.buf, s...)
	w.buf = append(w.buf, '"')
}

func writeList[S ~string](w *writer, name string, elems []S) {
	w.name(name)
	writeElems(w, elems)
	w.next()
}

func writeElems[S ~string](w *writer, elems []S) {
	writeEach(w, elems, func(w *writer, s *S) { w.string(string(*s)) })
}

func writeEach[T any](w *writer, elems []T, write func(*writer, *T)) {
	w.buf = append(w.buf, '[')
	for i := range elems {
		if i > 0 {
			w.next()
		}
		write(w, &elems[i])
	}
	w.buf = append(w.buf, ']')
}

// input writes what inputValue builds.
func (w *writer) input(in *uma.Input) {
	w.open()
	w.text("version", in.Version)
	w.text("realm", in.Realm)
	w.text("kind", in.Kind)
	w.subject(&in.Subject)
	w.claims(&in.Claims)
	w.client(&in.Client)
	w.text("resource_server", in.ResourceServer)
	if in.Resource != nil {
		w.resource(in.Resource)
	}
	writeList(w, "scopes", in.Scopes)
	w.name("shares")
	writeEach(w, in.Shares, (*writer).share)
	w.next()
	w.name("requests")
	writeEach(w, in.Requests, (*writer).request)
	w.next()
	if t := in.Ticket; t != nil {
		w.name("ticket")
		w.open()
		w.text("id", t.ID)
		w.text("issued_at", t.IssuedAt)
		w.number("round", int64(t.Round))
		w.close()
		w.next()
	}
	w.context(&in.Context)
	w.close()
}

func (w *writer) subject(s *uma.InputSubject) {
	w.name("subject")
	w.open()
	w.text("id", s.ID)
	w.text("type", s.Type)
	w.optional("username", s.Username)
	w.optional("issuer", s.Issuer)
	w.optional("acr", s.ACR)
	if s.AuthTime != 0 {
		w.number("auth_time", s.AuthTime)
	}
	writeList(w, "roles", s.Roles)
	w.lists("client_roles", s.ClientRoles)
	writeList(w, "groups", s.Groups)
	writeList(w, "scopes", s.Scopes)
	w.values("attributes", s.Attributes)
	w.close()
	w.next()
}

func (w *writer) claims(c *uma.InputClaims) {
	w.name("claims")
	w.open()
	w.values("verified", c.Verified)
	w.lists("pushed", c.Pushed)
	w.name("tokens")
	writeEach(w, c.Tokens, (*writer).claimToken)
	w.close()
	w.next()
}

func (w *writer) claimToken(t *uma.InputClaimToken) {
	w.open()
	w.optional("format", t.Format)
	w.optional("issuer", t.Issuer)
	w.bool("verified", t.Verified)
	w.optional("reason", t.Reason)
	if len(t.Claims) > 0 {
		w.values("claims", t.Claims)
	}
	w.close()
}

func (w *writer) client(c *uma.InputClient) {
	w.name("client")
	w.open()
	w.text("id", c.ID)
	w.bool("public", c.Public)
	w.bool("authenticated", c.Authenticated)
	if len(c.Scopes) > 0 {
		writeList(w, "scopes", c.Scopes)
	}
	if len(c.Metadata) > 0 {
		w.values("metadata", c.Metadata)
	}
	w.close()
	w.next()
}

func (w *writer) resource(r *uma.InputResource) {
	w.name("resource")
	w.open()
	w.text("id", string(r.ID))
	w.text("name", r.Name)
	w.text("type", r.Type)
	w.text("owner", r.Owner)
	w.bool("owner_managed", r.OwnerManaged)
	writeList(w, "uris", r.URIs)
	writeList(w, "scopes", r.Scopes)
	w.lists("attributes", r.Attributes)
	w.close()
	w.next()
}

func (w *writer) share(s *uma.InputShare) {
	w.open()
	w.text("id", s.ID)
	w.text("kind", s.Kind)
	w.optional("name", s.Name)
	writeList(w, "scopes", s.Scopes)
	writeList(w, "users", s.Users)
	writeList(w, "roles", s.Roles)
	writeList(w, "groups", s.Groups)
	writeList(w, "clients", s.Clients)
	w.text("strategy", s.Strategy)
	w.close()
}

func (w *writer) request(r *uma.InputRequest) {
	w.open()
	w.text("id", r.ID)
	w.text("state", r.State)
	writeList(w, "scopes", r.Scopes)
	w.optional("created", r.Created)
	w.close()
}

func (w *writer) context(c *uma.InputContext) {
	w.name("context")
	w.open()
	w.text("time", c.Time)
	w.optional("ip", c.IP)
	w.optional("user_agent", c.UserAgent)
	w.optional("request_id", c.RequestID)
	w.optional("trace_id", c.TraceID)
	w.values("properties", c.Properties)
	w.close()
	w.next()
}

// output writes a decision as the policy gave it.
func (w *writer) output(out *uma.Output) {
	w.open()
	writeList(w, "granted", out.Granted)
	w.name("need_info")
	writeEach(w, out.NeedInfo, (*writer).need)
	w.next()
	writeList(w, "submit", out.Submit)
	writeList(w, "reasons", out.Reasons)
	w.name("obligations")
	writeEach(w, out.Obligations, (*writer).obligation)
	w.next()
	if !out.SharesUnknown {
		writeList(w, "rests_on", out.RestsOn)
	}
	w.name("rpt")
	w.open()
	if out.RPT.TTL != 0 {
		w.number("ttl", int64(out.RPT.TTL))
	}
	if len(out.RPT.Claims) > 0 {
		w.lists("claims", out.RPT.Claims)
	}
	w.close()
	w.close()
}

func (w *writer) need(n *uma.Need) {
	w.open()
	w.text("name", n.Name)
	w.optional("friendly_name", n.FriendlyName)
	w.optional("claim_type", n.Type)
	if len(n.Formats) > 0 {
		writeList(w, "claim_token_format", n.Formats)
	}
	if len(n.Issuers) > 0 {
		writeList(w, "issuer", n.Issuers)
	}
	if len(n.Scopes) > 0 {
		writeList(w, "scopes", n.Scopes)
	}
	if n.Redirect != nil {
		w.text("redirect", *n.Redirect)
	}
	w.close()
}

func (w *writer) obligation(o *uma.Obligation) {
	w.open()
	w.text("id", o.ID)
	w.optional("type", o.Type)
	if len(o.Properties) > 0 {
		w.values("properties", o.Properties)
	}
	w.close()
}

func (w *writer) labels(labels map[string]string) {
	w.name("labels")
	w.open()
	for _, name := range sortedKeys(labels) {
		w.string(name)
		w.buf = append(w.buf, ':')
		w.string(labels[name])
		w.next()
	}
	w.close()
	w.next()
}
