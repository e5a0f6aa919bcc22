package keycloak

import (
	"errors"
	"net/http"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
	"example.com/umpire/uma/protection"
)

// A policy is the representation of a user-managed policy. It does not say which
// resource it is for, as Keycloak's does not.
type policy struct {
	ID          string      `json:"id"`
	Name        string      `json:"name"`
	Description string      `json:"description,omitempty"`
	Type        string      `json:"type"`
	Logic       string      `json:"logic"`
	Strategy    string      `json:"decisionStrategy"`
	Owner       string      `json:"owner"`
	Scopes      []uma.Scope `json:"scopes,omitempty"`
	Users       []string    `json:"users,omitempty"`
	Roles       []string    `json:"roles,omitempty"`
	Groups      []string    `json:"groups,omitempty"`
	Clients     []string    `json:"clients,omitempty"`
}

// What a policy's type and logic always are.
const (
	policyType  = "uma"
	policyLogic = "POSITIVE"
)

func showPolicy(v *protection.PolicyView) policy {
	return policy{
		ID: v.ID, Name: v.Name, Description: v.Description, Type: policyType, Logic: policyLogic, Strategy: v.Strategy,
		Owner: v.Owner, Scopes: v.Scopes, Users: v.Usernames, Roles: v.Roles, Groups: v.Groups, Clients: v.Clients,
	}
}

// policyError returns Keycloak's answers for a policy that does not exist and for a second
// one of a name. Of the latter, it has the sentence where others have an error code.
func policyError(err error) error {
	e, ok := errors.AsType[*uma.Error](err)
	switch {
	case ok && e.Reason == uma.NotFound:
		return &wire.Refusal{Status: http.StatusNotFound, Code: string(uma.InvalidRequest), Description: Sentence(e)}
	case ok && e.Reason == uma.Conflict:
		return &wire.Refusal{Status: http.StatusConflict, Code: Sentence(e), Description: "Conflicting policy"}
	}
	return err
}

// CreatePolicy serves POST /uma-policy/{resourceId}.
func (f *Face) CreatePolicy(x *wire.Exchange, c *protection.Caller) error {
	body, err := x.Body()
	if err != nil {
		return err
	}
	in, err := parsePolicy(body)
	if err != nil {
		return err
	}
	v, err := f.Core.Protection.CreatePolicy(x.Context(), c, x.Param("id"), in)
	if err != nil {
		return policyError(err)
	}
	return x.JSON(http.StatusOK, showPolicy(v))
}

// ReadPolicy serves GET /uma-policy/{policyId}.
func (f *Face) ReadPolicy(x *wire.Exchange, c *protection.Caller) error {
	v, err := f.Core.Protection.ReadPolicy(x.Context(), c, x.Param("id"))
	if err != nil {
		return policyError(err)
	}
	return x.JSON(http.StatusOK, showPolicy(v))
}

// ReplacePolicy serves PUT /uma-policy/{policyId}. The body is a whole
// representation, such as GET gives: its owner does not count.
func (f *Face) ReplacePolicy(x *wire.Exchange, c *protection.Caller) error {
	body, err := x.Body()
	if _, ok := errors.AsType[*uma.Error](err); ok || err == nil && body.Kind != wire.Object {
		return wire.Say(uma.InvalidRequest, "Failed to parse representation", err)
	}
	if err != nil {
		return err
	}
	in, err := parsePolicy(body)
	if err != nil {
		return err
	}
	if err := f.Core.Protection.ReplacePolicy(x.Context(), c, x.Param("id"), in); err != nil {
		return policyError(err)
	}
	return x.Empty(http.StatusCreated)
}

// DeletePolicy serves DELETE /uma-policy/{policyId}.
func (f *Face) DeletePolicy(x *wire.Exchange, c *protection.Caller) error {
	if err := f.Core.Protection.DeletePolicy(x.Context(), c, x.Param("id")); err != nil {
		return policyError(err)
	}
	return x.Empty(http.StatusNoContent)
}

// ListPolicies serves GET /uma-policy: the caller's own. The answer is 204 for a resource
// that it does not own or a scope that does not exist.
func (f *Face) ListPolicies(x *wire.Exchange, c *protection.Caller) error {
	params, err := x.Query()
	if err != nil {
		return err
	}
	first, most, err := parsePage(params)
	if err != nil {
		return err
	}
	filter, err := f.Core.Protection.PolicyFilter(x.Context(), c, &protection.PolicyQuery{
		Name: params.Get("name"), Resource: params.Get("resource"), Scope: params.Get("scope"),
	})
	if e, ok := errors.AsType[*uma.Error](err); ok && e.Reason == uma.NotFound {
		return x.Empty(http.StatusNoContent)
	}
	if err != nil {
		return err
	}
	return x.Array(func(add func(any) error) error {
		return f.Core.Protection.FindPolicies(x.Context(), c, filter, first, most, func(v *protection.PolicyView) error {
			return add(showPolicy(v))
		})
	})
}

// parsePolicy reads a representation. It ignores unknown members, and refuses those of
// Keycloak's that would narrow the policy.
func parsePolicy(v wire.Value) (*protection.PolicyInput, error) {
	if v.Kind != wire.Object {
		return nil, wire.Invalid("a policy must be a JSON object")
	}
	in := &protection.PolicyInput{}
	var kind, logic string
	err := v.Texts(map[string]*string{
		"id":               &in.ID,
		"name":             &in.Name,
		"description":      &in.Description,
		"decisionStrategy": &in.Strategy,
		"type":             &kind,
		"logic":            &logic,
	})
	if err != nil {
		return nil, err
	}
	switch {
	case kind != "" && kind != policyType:
		return nil, wire.Invalid("type must be " + policyType)
	case logic != "" && logic != policyLogic:
		return nil, wire.Invalid("logic must be " + policyLogic + ": whom a resource is not shared with needs no policy")
	case v.Member("condition").Kind != wire.Absent, len(v.Member("policies").List) > 0:
		return nil, wire.Invalid("condition and policies are not supported: the realm's policies are written in Rego")
	}
	lists := []struct {
		name  string
		value *[]string
	}{
		{"resources", &in.Resources},
		{"users", &in.Users},
		{"roles", &in.Roles},
		{"groups", &in.Groups},
		{"clients", &in.Clients},
	}
	for _, l := range lists {
		if *l.value, err = v.Strings(l.name); err != nil {
			return nil, err
		}
	}
	in.Scopes, err = v.Scopes("scopes") // empty is not absent
	return in, err
}
