package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/umpire/realm"
	"example.com/umpire/trust"
	"example.com/umpire/uma"
)

func checkIssuersCommand(e *env) *cobra.Command {
	var token, client string
	cmd := &cobra.Command{
		Use:   "check FILE|REALM",
		Short: "Fetch the keys of trusted issuers, and say what a token would become",
		Long: `Fetch what the issuers of a realm publish, and say which keys would be trusted and why others
would not. The realm is that of a realm file, or one of the database by its name. Nothing is
changed, and a running server is not asked.

With --token - a token is read from standard input: which party it would become, with which
groups, roles and attributes, and what it may be used for, or why it is not believed. The exit
code is 3 if an issuer cannot be used, or the token is good for nothing.`,
		Example: `  umpire issuer check realm.yaml
  umpire issuer check photoz --token - --client photoz-api < token`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.checkIssuers(cmd.Context(), args[0], token, client, cmd.InOrStdin())
		},
	}
	cmd.Flags().StringVar(&token, "token", "", "- reads a token from standard input")
	cmd.Flags().StringVar(&client, "client", "", "with --token: the `client_id` of the realm that would authenticate and present the token")
	e.outputFlag(cmd)
	return cmd
}

// An issuersReport is the JSON output of issuer check.
type issuersReport struct {
	OK      bool         `json:"ok"`
	Realm   string       `json:"realm"`
	Issuers []issuerRow  `json:"issuers"`
	Token   *tokenReport `json:"token,omitempty"`
}

// An issuerRow is a trusted issuer and what it publishes.
type issuerRow struct {
	OK        bool           `json:"ok"`
	Alias     string         `json:"alias"`
	Issuer    string         `json:"issuer"`
	Discovery string         `json:"discovery,omitempty"`
	JWKSURI   string         `json:"jwks_uri,omitempty"`
	Error     string         `json:"error,omitempty"`
	Accept    []uma.TokenUse `json:"accept"`
	Keys      []issuerKeyRow `json:"keys"`
}

type issuerKeyRow struct {
	KID        string   `json:"kid"`
	Type       string   `json:"type"`
	Algorithms []string `json:"algorithms"`
	Why        string   `json:"why,omitempty"` // it is not used
}

// A tokenReport is what a token would become.
type tokenReport struct {
	OK            bool           `json:"ok"`
	Error         string         `json:"error,omitempty"`
	Issuer        string         `json:"issuer"` // the alias
	Kind          uma.TokenKind  `json:"kind"`
	Type          string         `json:"type"` // user or service
	Subject       string         `json:"subject"`
	Username      string         `json:"username"`
	Client        string         `json:"client"` // of the issuer's own
	Audience      []string       `json:"audience"`
	Email         string         `json:"email"`
	EmailVerified bool           `json:"email_verified"`
	Groups        []string       `json:"groups"`
	GroupsKnown   bool           `json:"groups_known"`
	Roles         []string       `json:"roles"`
	ACR           string         `json:"acr"`
	Attributes    map[string]any `json:"attributes"`
	Claims        map[string]any `json:"claims"`
	Expires       *time.Time     `json:"expires,omitempty"`
	Uses          []tokenUseRow  `json:"uses"`
}

type tokenUseRow struct {
	Use    uma.TokenUse `json:"use"`
	Client string       `json:"client,omitempty"` // of the realm
	Why    string       `json:"why,omitempty"`    // it is refused
}

func (e *env) checkIssuers(ctx context.Context, name, token, client string, stdin io.Reader) error {
	switch {
	case token != "" && token != "-":
		return invalid("--token: want -, the token is read from standard input: everybody on this machine can see the arguments of a process")
	case client != "" && token == "":
		return usageError("--client has no effect without --token -")
	}
	s, err := e.realmOf(ctx, name)
	if err != nil {
		return err
	}
	if client != "" && s.Clients[client] == nil {
		return invalid("realm %s has no client %q", s.Realm.Name, client)
	}
	svc := &trust.Service{Now: e.now, Log: slog.New(slog.DiscardHandler)} // what it would log is in the report
	report := issuersReport{OK: true, Realm: s.Realm.Name, Issuers: []issuerRow{}}
	for i := range s.Realm.Issuers {
		row := inspectIssuer(ctx, svc, s, &s.Realm.Issuers[i])
		report.OK = report.OK && row.OK
		report.Issuers = append(report.Issuers, row)
	}
	if token != "" {
		raw, err := readForeign(stdin)
		if err != nil {
			return err
		}
		if report.Token, err = examineToken(ctx, svc, s, s.Clients[client], raw); err != nil {
			return err
		}
		report.OK = report.OK && report.Token.OK
	}
	if err := e.printIssuers(&report); err != nil {
		return err
	}
	if !report.OK {
		return errNotPassed
	}
	return nil
}

// realmOf returns the configuration of a realm, of a file or in the database.
func (e *env) realmOf(ctx context.Context, name string) (s *uma.Snapshot, err error) {
	if isPath(name) || isRealmFile(name) {
		spec, notices, err := realm.Check(name)
		e.printNotices(notices)
		if err != nil {
			return nil, err
		}
		var clients []*uma.Client
		for i := range spec.Clients {
			clients = append(clients, &spec.Clients[i].Client)
		}
		return uma.NewSnapshot(spec.Realm, clients, nil), nil
	}
	err = e.withDatabase(ctx, func(db uma.Store) error {
		if s, err = db.Snapshot(ctx, name, e.now()); err != nil {
			return realmError(ctx, db, name, err)
		}
		return nil
	})
	return s, err
}

func inspectIssuer(ctx context.Context, svc *trust.Service, s *uma.Snapshot, i *uma.TrustedIssuer) issuerRow {
	found, err := svc.Inspect(ctx, s, i)
	row := issuerRow{Alias: i.Alias, Issuer: i.Issuer, Discovery: found.Discovery, JWKSURI: found.JWKSURI, Accept: i.Accept, Keys: []issuerKeyRow{}}
	for _, k := range found.Keys {
		row.OK = row.OK || k.Why == ""
		row.Keys = append(row.Keys, issuerKeyRow{k.ID, k.Type, append([]string{}, k.Algorithms...), k.Why})
	}
	switch {
	case err != nil:
		row.OK, row.Error = false, err.Error()
	case !row.OK:
		row.Error = "it publishes no key that can be used"
	}
	return row
}

// maxForeign is the longest token of an issuer that is read, in bytes.
const maxForeign = 64 << 10

func readForeign(stdin io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(stdin, maxForeign+1))
	raw := strings.TrimSpace(string(text))
	switch {
	case err != nil:
		return "", fmt.Errorf("read the token from standard input: %w", err)
	case len(text) > maxForeign:
		return "", invalid("standard input has more than %d KiB, and no token", maxForeign>>10)
	case raw == "":
		return "", invalid("standard input is empty: want a token")
	}
	return raw, nil
}

// examineToken says what a token would become, presented by a client that may be nil.
func examineToken(ctx context.Context, svc *trust.Service, s *uma.Snapshot, client *uma.Client, raw string) (*tokenReport, error) {
	t, err := svc.Verify(ctx, s, raw)
	r := &tokenReport{Audience: []string{}, Groups: []string{}, Roles: []string{}, Attributes: map[string]any{}, Claims: map[string]any{}, Uses: []tokenUseRow{}}
	if untrusted, ok := errors.AsType[*uma.TrustError](err); ok {
		r.Issuer, r.Error = untrusted.Issuer, untrusted.Why
		if iss := issuerOf(raw); untrusted.Issuer == "" && iss != "" {
			r.Error += fmt.Sprintf("; its iss is %.200q", iss)
		}
		return r, nil
	}
	if errors.Is(err, uma.ErrKeysMissing) {
		r.Error = err.Error()
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	r.Issuer, r.Kind, r.Type, r.Subject, r.Client = t.Issuer.Alias, t.Kind, "user", t.Subject, t.ClientID
	expires := time.Unix(t.Expires, 0).UTC()
	if t.Application {
		r.Type = "service"
	}
	r.Username = t.Issuer.Alias + "/" + cmp.Or(t.Username, t.Subject)
	r.Audience, r.Groups, r.Roles = append(r.Audience, t.Audience...), append(r.Groups, t.Groups...), append(r.Roles, t.Roles...)
	r.Email, r.EmailVerified, r.GroupsKnown, r.ACR, r.Expires = t.Email, t.EmailVerified, t.GroupsKnown, t.ACR, &expires
	if t.Attributes != nil {
		r.Attributes = t.Attributes
	}
	if t.Claims != nil {
		r.Claims = t.Claims
	}
	for _, use := range []uma.TokenUse{uma.UseBearer, uma.UseSubjectToken, uma.UseClaims} {
		row := tokenUseRow{Use: use}
		row.Client, err = t.Client(use, client)
		if untrusted, ok := errors.AsType[*uma.TrustError](err); ok {
			row.Why = untrusted.Why
		} else if err != nil {
			return nil, err
		}
		r.OK = r.OK || err == nil
		r.Uses = append(r.Uses, row)
	}
	return r, nil
}

// issuerOf returns the issuer that a token names, which nothing proves; empty if it cannot be
// read.
func issuerOf(raw string) string {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return ""
	}
	var claims struct {
		Issuer string `json:"iss"`
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		return ""
	}
	return claims.Issuer
}

func (e *env) printIssuers(r *issuersReport) error {
	if e.asJSON() {
		return printJSON(e.stdout, r)
	}
	if len(r.Issuers) == 0 {
		fmt.Fprintf(e.stdout, "realm %s trusts no issuer\n", r.Realm)
	}
	for _, i := range r.Issuers {
		fmt.Fprintf(e.stdout, "%s  %s\n", visible(i.Alias), visible(i.Issuer))
		rows := [][]string{{"  accepts", joined(i.Accept)}}
		keys := i.JWKSURI
		if i.Discovery == "" && keys == "" {
			keys = "in the realm file"
		}
		for _, from := range [][]string{{"  discovery", i.Discovery}, {"  keys", keys}} {
			if from[1] != "" {
				rows = append(rows, from)
			}
		}
		for _, k := range i.Keys {
			use := strings.TrimSpace(k.Type + ", for " + strings.Join(k.Algorithms, ", "))
			if k.Why != "" {
				use = "not used: " + k.Why
			}
			rows = append(rows, []string{"  key " + cmp.Or(k.KID, "without kid"), use})
		}
		if i.Error != "" {
			rows = append(rows, []string{"  cannot be used", i.Error})
		}
		if err := printRows(e.stdout, rows); err != nil {
			return err
		}
	}
	if r.Token == nil {
		return nil
	}
	return e.printToken(r.Token)
}

func (e *env) printToken(t *tokenReport) error {
	if t.Error != "" {
		fmt.Fprintf(e.stdout, "the token is not believed: %s\n", visible(strings.TrimPrefix(t.Issuer+": "+t.Error, ": ")))
		return nil
	}
	groups := joined(t.Groups)
	if !t.GroupsKnown {
		groups = "not known"
	}
	email := t.Email
	if email != "" && !t.EmailVerified {
		email += " (not verified)"
	}
	rows := [][]string{
		{"issuer", t.Issuer}, {"kind", string(t.Kind)}, {"expires", t.Expires.Format(time.RFC3339)}, {"type", t.Type}, {"subject", t.Subject},
		{"username", t.Username}, {"e-mail", email}, {"groups", groups}, {"roles", joined(t.Roles)}, {"acr", t.ACR},
		{"attributes", asText(t.Attributes)}, {"claims", asText(t.Claims)}, {"issued to", t.Client}, {"for", joined(t.Audience)},
	}
	for _, u := range t.Uses {
		as := "client " + u.Client
		switch {
		case u.Why != "":
			as = "refused: " + u.Why
		case u.Client == "":
			as = "yes"
		}
		rows = append(rows, []string{"as " + string(u.Use), as})
	}
	fmt.Fprintln(e.stdout, "the token is believed")
	return printRows(e.stdout, slices.DeleteFunc(rows, func(row []string) bool { return row[1] == "" }))
}

func joined[T ~string](list []T) string {
	words := make([]string, len(list))
	for i, word := range list {
		words[i] = string(word)
	}
	return strings.Join(words, ", ")
}

// asText is an object as JSON; empty without members.
func asText(m map[string]any) string {
	if len(m) == 0 {
		return ""
	}
	text, err := json.Marshal(m)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
