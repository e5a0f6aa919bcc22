package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/umpire/engine"
	"example.com/umpire/nearest"
	"example.com/umpire/uma"
	"example.com/umpire/uma/audit"
	"example.com/umpire/uma/grant"
)

// evalFlags are the flags of policy eval.
type evalFlags struct {
	realm, user, client, resource, server, at, ip string
	scopes, claims                                []string
	input, candidate                              string
	trace                                         bool
}

// described are the flags that describe a request, which a file describes instead.
var described = []string{"user", "client", "resource", "resource-server", "scope", "claim", "at", "ip"}

func evalCommand(e *env) *cobra.Command {
	var f evalFlags
	cmd := &cobra.Command{
		Use:   "eval --realm NAME --user USER --resource RESOURCE [--scope SCOPE …] | --input FILE",
		Short: "Explain what a policy decides about a request that is described (safe while the server runs)",
		Long: `Evaluate a policy for a request that is described, not made, and explain it as decisions
explain does. The policy is asked about the realm as it is stored: the user's roles, groups
and attributes, the resource, its shares, and earlier requests to its owner. The user has just
signed in at a client, and presents no ticket. Nothing is recorded.

With --input the request is the policy's input in a file (policies/schemas/input-v1.json), or
the output of "policy eval -o json" or "decisions show -o json", which has it in "input". With --candidate of
a folder or bundle file too, no database is needed.`,
		Example: `  umpire policy eval --realm photoz --user bob --resource "Holiday album" --scope view
  umpire policy eval --realm photoz --user alice --client photoz-app --resource "Holiday album" --scope delete --claim delete_confirmed=yes
  umpire policy eval --input request.json --candidate ./policies`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(cmd); err != nil {
				return err
			}
			if f.input != "" && isPath(f.candidate) {
				return e.evaluatePolicy(cmd.Context(), nil, &f)
			}
			return e.withDatabase(cmd.Context(), func(db uma.Store) error { return e.evaluatePolicy(cmd.Context(), db, &f) })
		},
	}
	fl := cmd.Flags()
	e.realmFlag(cmd, &f.realm)
	fl.StringVar(&f.user, "user", "", "a user, by `name` or id, or a client that asks for itself")
	fl.StringVar(&f.resource, "resource", "", "a resource, by `name` or id")
	fl.StringArrayVar(&f.scopes, "scope", nil, "a `scope` that is requested; may be repeated (default all of the resource)")
	fl.StringVar(&f.client, "client", "", "`client_id` that the user asks through (default the first that users sign in at)")
	fl.StringVar(&f.server, "resource-server", "", "`client_id` of the resource server, for scopes without a resource")
	fl.StringArrayVar(&f.claims, "claim", nil, "a claim that the client pushes, as `name=value`; may be repeated")
	fl.StringVar(&f.at, "at", "", "`time` of the request (RFC 3339, the seconds may be left out) or age (default now)")
	fl.StringVar(&f.ip, "ip", "", "`address` of the client")
	fl.StringVar(&f.input, "input", "", "`file` with the policy's input, - for stdin, instead of the flags above")
	fl.StringVar(&f.candidate, "candidate", "", "policy `folder`, bundle file, or hash of a policy revision in the database, or its beginning (default the policy in force)")
	fl.BoolVar(&f.trace, "trace", false, "also print OPA's trace of the evaluation")
	e.outputFlag(cmd)
	return cmd
}

func (f *evalFlags) check(cmd *cobra.Command) error {
	if f.input != "" {
		for _, name := range described {
			if cmd.Flags().Changed(name) {
				return usageError("--%s and --input both describe the request: change the file instead", name)
			}
		}
	}
	switch {
	case f.input == "" && f.user == "":
		return usageError("--user or --input is missing")
	case f.input == "" && f.resource == "" && len(f.scopes) == 0:
		return usageError("--resource or --scope is missing")
	case f.resource != "" && f.server != "":
		return usageError("--resource-server is for scopes without a resource")
	case f.candidate != "" && !isPath(f.candidate) && !isRevision(f.candidate):
		return invalid("--candidate: there is no folder or file %s, and it is not the hash of a policy revision", f.candidate)
	}
	return nil
}

// An evaluationReport is the JSON output of policy eval.
type evaluationReport struct {
	Realm    string          `json:"realm"`
	Revision string          `json:"revision"`
	Input    json.RawMessage `json:"input"`
	engine.Explanation
	Trace []string `json:"trace,omitempty"`
}

// evaluatePolicy explains what a policy decides about a described request. Without a database,
// the request is in a file and the policy is a candidate's.
func (e *env) evaluatePolicy(ctx context.Context, db uma.Store, f *evalFlags) error {
	input, at, err := e.describedInput(ctx, db, f)
	if err != nil {
		return err
	}
	d, err := audit.Describe(input, at)
	if err != nil {
		return err
	}
	d.Realm = f.realm
	explainer, err := e.explainerOf(ctx, db, d, &explainFlags{candidate: f.candidate, now: f.candidate == ""})
	if err != nil {
		return err
	}
	why, err := explainer.Explain(ctx, d, f.trace)
	switch {
	case err != nil:
		return err
	case e.asJSON():
		return printJSON(e.stdout, evaluationReport{f.realm, why.Revision, input, why.Explanation, why.Trace})
	}
	t := explainedText{w: e.stdout, decision: d}
	t.print(&why.Explanation)
	under := "the active policy"
	if f.candidate != "" {
		under = "the policy " + f.candidate
	}
	fmt.Fprintf(e.stdout, "evaluated under %s, revision %s; nothing is recorded\n", visible(under), why.Revision)
	t.printTrace(why.Trace)
	return nil
}

// describedInput returns the policy's input of a described request, and its time. It sets the
// realm, if the flag is not given.
func (e *env) describedInput(ctx context.Context, db uma.Store, f *evalFlags) (raw []byte, at time.Time, err error) {
	if f.input != "" {
		if raw, at, err = f.readInput(); err == nil && db != nil {
			err = knownRealm(ctx, db, f.realm)
		}
		return raw, at, err
	}
	if f.realm, err = oneRealm(ctx, db, f.realm); err != nil {
		return nil, at, err
	}
	r, err := e.storedRealm(ctx, db, f.realm)
	if err != nil {
		return nil, at, err
	}
	if f.at != "" {
		if r.at, err = e.parseTime(f.at); err != nil {
			return nil, r.at, invalid("--at: %w", err)
		}
	}
	in, err := r.pose(ctx, f)
	if err != nil {
		return nil, r.at, err
	}
	raw, err = engine.InputJSON(in)
	return raw, r.at, err
}

// maxInput is how many bytes a file with an input may have.
const maxInput = 1 << 20

// readInput reads the policy's input from a file.
func (f *evalFlags) readInput() (raw []byte, at time.Time, err error) {
	in := os.Stdin
	if f.input != "-" {
		if in, err = os.Open(f.input); err != nil {
			return nil, at, invalid("--input: %w", err)
		}
	}
	raw, err = io.ReadAll(io.LimitReader(in, maxInput+1))
	if err = errors.Join(err, in.Close()); err != nil {
		return nil, at, invalid("--input: %w", err)
	}
	if len(raw) > maxInput {
		return nil, at, invalid("--input: %s has more than %d bytes", f.input, maxInput)
	}
	var printed struct{ Input json.RawMessage }
	if json.Unmarshal(raw, &printed) == nil && printed.Input != nil { // the output of policy eval, or a record
		raw = printed.Input
	}
	if err := engine.CheckInput(raw); err != nil {
		return nil, at, invalid("--input: %s is not an input of a policy (policies/schemas/input-v1.json):\n%w", f.input, err)
	}
	var doc struct {
		Realm   string
		Context struct{ Time time.Time }
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, at, invalid("--input: %s: %w", f.input, err)
	}
	if f.realm == "" {
		f.realm = doc.Realm
	}
	if doc.Realm != f.realm {
		return nil, at, invalid("--input: %s is of the realm %q, not %q", f.input, doc.Realm, f.realm)
	}
	return bytes.TrimSpace(raw), doc.Context.Time, nil
}

// pose returns the policy's input for a described request, by the code of the grant.
func (r *storedRealm) pose(ctx context.Context, f *evalFlags) (*uma.Input, error) {
	client, err := r.client(f.client)
	if err != nil {
		return nil, err
	}
	d := &grant.Described{Realm: r.snap, At: r.at, IP: f.ip}
	if d.Party, err = r.party(ctx, f.user, client); err != nil {
		return nil, err
	}
	if d.Pushed, err = pushedClaims(f.claims); err != nil {
		return nil, err
	}
	asked := grant.DescribedPermission{}
	for _, scope := range f.scopes {
		asked.Scopes = append(asked.Scopes, uma.Scope(scope))
	}
	if f.resource == "" {
		d.Server, err = r.server(f.server)
	} else {
		asked.Resource, d.Server, err = r.resource(ctx, f.resource)
	}
	if err != nil {
		return nil, err
	}
	posed, err := uma.Read(ctx, r.db, func(view uma.View) ([]*grant.Posed, error) {
		return d.Pose(ctx, view, []grant.DescribedPermission{asked})
	})
	if err != nil {
		return nil, err
	}
	return r.posedInput(posed, &asked)
}

// posedInput returns the input of the permission, unless the resource lacks a requested scope.
func (r *storedRealm) posedInput(posed []*grant.Posed, asked *grant.DescribedPermission) (*uma.Input, error) {
	var known []uma.Scope
	if len(posed) > 0 {
		known = posed[0].Scopes
	}
	for _, scope := range asked.Scopes {
		if slices.Contains(known, scope) {
			continue
		}
		var names []string
		for _, s := range asked.Resource.Scopes {
			names = append(names, string(s))
		}
		return nil, invalid("--scope: resource %q has no scope %q%s: its scopes are %s", asked.Resource.Name, scope, hint(string(scope), names), strings.Join(names, ", "))
	}
	if len(posed) == 0 {
		return nil, invalid("--resource: the grant does not decide about resource %q", asked.Resource.Name)
	}
	return posed[0].Input, nil
}

// hint suggests the name that a misspelt one resembles.
func hint(misspelt string, names []string) string {
	if name := nearest.Of(misspelt, names); name != "" {
		return fmt.Sprintf(" (did you mean %q?)", name)
	}
	return ""
}

// server returns the resource server with a client_id, or the only one.
func (r *storedRealm) server(id string) (*uma.Client, error) {
	servers := r.servers()
	var ids []string
	for _, s := range servers {
		if s.ID == id || id == "" && len(servers) == 1 {
			return s, nil
		}
		ids = append(ids, s.ID)
	}
	if id == "" {
		return nil, usageError("--resource-server is missing: the resource servers are %s", strings.Join(ids, ", "))
	}
	return nil, invalid("--resource-server: realm %s has no resource server %q%s", r.snap.Realm.Name, id, hint(id, ids))
}

// pushedClaims are the claims of texts name=value.
func pushedClaims(texts []string) (map[string][]string, error) {
	claims := make(map[string][]string)
	for _, text := range texts {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, invalid("--claim: want name=value, not %q", text)
		}
		claims[name] = append(claims[name], value)
	}
	return claims, nil
}
