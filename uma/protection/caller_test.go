package protection

import (
	"testing"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
	"example.com/umpire/uma/umatest"
)

// Each rule takes its tokens for PATs and no others.
func TestAdmit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	role := map[string][]string{w.API.ID: {party.ProtectionScope}}
	token := &uma.Claims{Scope: party.ProtectionScope, ResourceAccess: map[string]uma.RoleSet{w.API.ID: {Roles: role[w.API.ID]}}}
	server := func(c uma.Client) *uma.Client { c.ClientRoles, c.ResourceServer = role, true; return &c }(*w.API)
	other := func(c uma.Client) *uma.Client { c.ResourceServer = false; return &c }(*server)
	user := &uma.User{ID: "u-alice", ClientRoles: role}
	ids := map[string]*party.Identity{
		"service":      {Subject: server.UUID, Client: server, Claims: token},
		"user":         {Subject: "u-alice", User: user, Client: server, Claims: token},
		"plain user":   {Subject: "u-alice", User: &uma.User{ID: "u-alice"}, Client: server, Claims: token},
		"plain token":  {Subject: "u-alice", User: user, Client: server, Claims: &uma.Claims{}},
		"plain client": {Subject: other.UUID, Client: other, Claims: token},
		"rpt":          {Subject: "u-alice", User: user, Client: server, Claims: token, Servers: []string{server.ID}},
	}
	no, scope := uma.NotAResourceServer, uma.NoProtectionScope
	for rule, want := range map[PATRule]map[string]uma.Reason{
		AnyToken:         {"plain client": no, "rpt": uma.NoPAT},
		WithRole:         {"plain user": scope, "plain token": scope, "plain client": no, "rpt": uma.NoPAT},
		WithScope:        {"plain user": scope, "plain token": scope, "plain client": no, "rpt": scope},
		OfServiceAccount: {"user": uma.ResourceServerBad, "plain user": uma.ResourceServerBad, "plain token": uma.ResourceServerBad, "plain client": no, "rpt": uma.NoPAT},
	} {
		for name, id := range ids {
			rules := Rules{PAT: rule, OneOwner: true}
			c, err := Admit(w.Snap, id, rules)
			if umatest.Reason(err) != want[name] || (c == nil) != (want[name] != "") {
				t.Errorf("rule %d, %s: got %v, want %q", rule, name, err, want[name])
			}
			if c != nil && (c.Server != id.Client || c.Identity != id || c.Rules != rules) {
				t.Errorf("rule %d, %s: got %+v", rule, name, c)
			}
		}
	}
}
