package legacy

import (
	"net/http"
	"slices"
	"strings"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
	"example.com/umpire/uma/grant"
)

const mediaType = "application/json"

// negotiate refuses what was refused without a word: other credentials than a
// bearer token, and who does not take JSON.
func negotiate(x *wire.Exchange) error {
	switch {
	case x.TriedBasic():
		return &wire.Refusal{Status: http.StatusUnauthorized, Code: "invalid_client", Silent: true}
	case !takesJSON(x.RequestHeader("Accept")):
		return &wire.Refusal{Status: http.StatusNotAcceptable, Code: "not_acceptable"}
	}
	return nil
}

// takesJSON reports whether an Accept header allows JSON (RFC 9110 §12.5.1).
func takesJSON(accept string) bool {
	if accept == "" {
		return true
	}
	for entry := range strings.SplitSeq(accept, ",") {
		typ, params, _ := strings.Cut(entry, ";")
		typ = strings.ToLower(strings.TrimSpace(typ))
		q := strings.ReplaceAll(params, " ", "")
		if (typ == mediaType || typ == "application/*" || typ == "*/*") && strings.Trim(q, "0.") != "q=" {
			return true
		}
	}
	return false
}

// onlyMembers refuses an object that has others.
func onlyMembers(v wire.Value, names ...string) error {
	for _, m := range v.Members {
		if !slices.Contains(names, m.Name) {
			return wire.Invalid("Unrecognized field [" + m.Name + "], not marked as ignorable")
		}
	}
	return nil
}

// parseCommon reads what both requests may have: the RPT to add to, and how to
// answer.
func parseCommon(body wire.Value) (*grant.Request, error) {
	req := &grant.Request{Entitlement: &grant.Entitlement{}}
	var err error
	if req.RPT, err = body.String("rpt"); err != nil {
		return nil, err
	}
	if req.RPT == "" && body.Member("rpt").Kind == wire.String {
		return nil, uma.Reject(uma.UnusableRPT, uma.Fault{}, nil)
	}
	metadata := body.Member("metadata")
	if metadata.Kind != wire.Object && metadata.Kind != wire.Absent {
		return nil, wire.Invalid("metadata must be an object")
	}
	if err := onlyMembers(metadata, "include_resource_name", "limit"); err != nil {
		return nil, err
	}
	names, present, err := metadata.Bool("include_resource_name")
	if err != nil {
		return nil, err
	}
	req.WithoutNames = present && !names
	req.Entitlement.Limit, err = metadata.Int("limit")
	return req, err
}

// parseEntitlements reads the permissions that are asked for. Without any,
// nothing is.
func parseEntitlements(body wire.Value) ([]grant.EntitlementPermission, error) {
	list := body.Member("permissions")
	if list.Kind != wire.Array && has(body, "permissions") {
		return nil, wire.Invalid("permissions must be an array")
	}
	permissions := make([]grant.EntitlementPermission, len(list.List))
	for i, e := range list.List {
		var err error
		if permissions[i], err = parsePermission(e); err != nil {
			return nil, err
		}
		if p := permissions[i]; p.By == grant.NoResource && len(p.Scopes) == 0 {
			return nil, &wire.Refusal{
				Status: http.StatusForbidden, Code: "invalid_request", Description: "You must provide a resource and/or scopes.",
			}
		}
	}
	return permissions, nil
}

// parsePermission reads a permission. The id counts before the name.
func parsePermission(v wire.Value) (p grant.EntitlementPermission, err error) {
	if v.Kind != wire.Object {
		return p, wire.Invalid("A permission must be an object")
	}
	if err := onlyMembers(v, "resource_set_id", "resource_set_name", "scopes"); err != nil {
		return p, err
	}
	id, err := v.String("resource_set_id")
	if err != nil {
		return p, err
	}
	name, err := v.String("resource_set_name")
	if err != nil {
		return p, err
	}
	switch { // an empty one is not the same as none
	case v.Member("resource_set_id").Kind == wire.String:
		p.By, p.Resource = grant.ByID, id
	case v.Member("resource_set_name").Kind == wire.String:
		p.By, p.Resource = grant.ByName, name
	}
	p.Scopes, err = v.Scopes("scopes")
	if err != nil || p.Scopes == nil && has(v, "scopes") { // null is no list, and not all of them either
		return p, wire.Invalid("scopes must be an array of strings")
	}
	return p, nil
}

// has reports whether a member is there, be it null.
func has(v wire.Value, name string) bool {
	return slices.ContainsFunc(v.Members, func(m wire.Member) bool { return m.Name == name })
}
