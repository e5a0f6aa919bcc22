package lint_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.com/umpire/bundles"
	"example.com/umpire/engine"
	"example.com/umpire/lint"
	"example.com/umpire/realm"
	"example.com/umpire/uma"
)

// shop is a realm whose names the policies of these tests use.
const shop = `realm: shop
policy: {bundle: ./policies}
clients:
  - {id: shop-api, secret: shop-api-secret-of-32-bytes-or-so, resource_server: true, service_account: true}
  - {id: shop-web, public: true, scopes: [export]}
users:
  - {username: alice, password: a, roles: [admin, auditor], groups: [/friends], claims: {email: a@example.com, level: 3},
     client_roles: {shop-api: [manager]}}
scopes: {shop-api: [download]}
resources:
  - {name: Invoice, resource_server: shop-api, type: payment, scopes: [view, refund], attributes: {state: [open]}}
  - {name: Shelf, resource_server: shop-api, type: shelf, scopes: [view, restock]}
`

// header is the package of most policies here.
const header = "package uma.policies.payment\n\n"

// shelf makes a package for the other type, so that only the finding of the case is left.
const shelf = "package uma.policies.shelf\n\ngrant contains \"view\" if \"admin\" in input.subject.roles\n"

// findings returns what Check finds in these policies, one line for each finding.
func findings(t *testing.T, realmFile string, files map[string]string) []string {
	t.Helper()
	b, err := bundles.Parse(files, bundles.Options{Parser: engine.ParserOptions()})
	if err != nil {
		t.Fatal(err)
	}
	entrypoint := "data.uma.authz.decision"
	var names *lint.Names
	if realmFile != "" {
		spec, _, err := realm.Parse("realm.yaml", []byte(realmFile), os.Getenv)
		if err != nil {
			t.Fatal(err)
		}
		names, entrypoint = lint.NamesOf("realm.yaml", spec), spec.Realm.Policy.Entrypoint
	}
	found, err := lint.Check(engine.Source{Files: b.Files, Modules: b.Modules, Data: b.Data}, entrypoint, names)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range found {
		severity := "warn"
		if f.Blocks {
			severity = "block"
		}
		lines = append(lines, fmt.Sprintf("%s:%d %s %s", f.File, f.Line, severity, f.Text))
	}
	return lines
}

// TestNames: a name that the realm does not have is found wherever rules compare it, at its
// line. A near miss blocks, any other unknown name warns.
func TestNames(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ rules, want string }{
		"a scope, granted":            {`grant contains "veiw"`, `3 block no resource of type payment in realm.yaml has the scope "veiw": did you mean "view"?`},
		"a scope, submitted":          {`submit contains "reufnd"`, `3 block no resource of type payment in realm.yaml has the scope "reufnd": did you mean "refund"?`},
		"a scope, denied":             {`deny contains {"scope": "refnud", "reason": "x"}`, `3 block no resource of type payment in realm.yaml has the scope "refnud": did you mean "refund"?`},
		"a scope, wanted":             {`need_info contains {"name": "x", "scopes": ["view", "refunds"]}`, `3 block no resource of type payment in realm.yaml has the scope "refunds": did you mean "refund"?`},
		"a scope, listed":             {"grant contains s if {\n\tsome s in [\"view\", \"refnd\"]\n}", `4 block no resource of type payment in realm.yaml has the scope "refnd": did you mean "refund"?`},
		"a scope, asked for":          {`deny contains "no" if "veiw" in input.scopes`, `3 block no resource of type payment in realm.yaml has the scope "veiw": did you mean "view"?`},
		"another type's scope":        {`grant contains "restock"`, `3 warn no resource of type payment in realm.yaml has the scope "restock"`},
		"a scope of the realm":        {`grant contains "download"`, ""},
		"a scope of a client":         {`grant contains "export"`, ""},
		"every scope":                 {`grant contains "*"`, ""},
		"a reason is no scope":        {`deny contains "veiw"`, ""},
		"a role":                      {`grant contains "view" if "amdin" in input.subject.roles`, `3 block no user or client in realm.yaml has the role "amdin": did you mean "admin"?`},
		"a role, by index":            {`grant contains "view" if input.subject.roles[_] == "admn"`, `3 block no user or client in realm.yaml has the role "admn": did you mean "admin"?`},
		"a role, in a variable":       {"grant contains \"view\" if {\n\tsome r in input.subject.roles\n\tr == \"Admin\"\n}", `5 block no user or client in realm.yaml has the role "Admin": did you mean "admin"?`},
		"a role, of a list":           {"grant contains \"view\" if {\n\tsome r in input.subject.roles\n\tr in {\"admin\", \"audtor\"}\n}", `5 block no user or client in realm.yaml has the role "audtor": did you mean "auditor"?`},
		"a role, denied":              {`grant contains "view" if not "amdin" in input.subject.roles`, `3 block no user or client in realm.yaml has the role "amdin": did you mean "admin"?`},
		"a role, in a comprehension":  {`grant contains "view" if count([r | some r in input.subject.roles; r == "amdin"]) > 0`, `3 block no user or client in realm.yaml has the role "amdin": did you mean "admin"?`},
		"a role, of every":            {"grant contains \"view\" if {\n\tevery r in input.subject.roles {\n\t\tr != \"adminn\"\n\t}\n}", `5 block no user or client in realm.yaml has the role "adminn": did you mean "admin"?`},
		"a role, given to a function": {"grant contains \"view\" if has(\"amdin\")\n\nhas(r) if r in input.subject.roles", `3 block no user or client in realm.yaml has the role "amdin": did you mean "admin"?`},
		"a role, of a rule":           {"grant contains \"view\" if {\n\tsome r in input.subject.roles\n\tr in staff\n}\n\nstaff := {\"admin\", \"auditr\"}", `8 block no user or client in realm.yaml has the role "auditr": did you mean "auditor"?`},
		"roles, of a rule":            {"grant contains \"view\" if {\n\tsome r in staff\n\tr in input.subject.roles\n}\n\nstaff := [\"admin\", \"auditr\"]", `8 block no user or client in realm.yaml has the role "auditr": did you mean "auditor"?`},
		"another role":                {`grant contains "view" if "janitor" in input.subject.roles`, `3 warn no user or client in realm.yaml has the role "janitor"`},
		"a role of every realm":       {`grant contains "view" if "uma_authorization" in input.subject.roles`, ""},
		"a client's role":             {`grant contains "view" if "manger" in input.subject.client_roles["shop-api"]`, `3 block no user or client in realm.yaml has the client role "manger": did you mean "manager"?`},
		"a role's client":             {`grant contains "view" if "manager" in input.subject.client_roles["shop_api"]`, `3 block realm.yaml has no client "shop_api": did you mean "shop-api"?`},
		"a group":                     {`grant contains "view" if "/freinds" in input.subject.groups`, `3 block no user or client in realm.yaml has the group "/freinds": did you mean "/friends"?`},
		"a resource server":           {`grant contains "view" if input.resource_server == "shop-apl"`, `3 block realm.yaml has no resource server "shop-apl": did you mean "shop-api"?`},
		"resource servers":            {`grant contains "view" if input.resource_server in ["shop-api", "store-frontend"]`, `3 warn realm.yaml has no resource server "store-frontend"`},
		"a client":                    {`grant contains "view" if "shop-wbe" == input.client.id`, `3 block realm.yaml has no client "shop-wbe": did you mean "shop-web"?`},
		"a type":                      {`grant contains "view" if input.resource.type == "paymnet"`, `3 block no resource in realm.yaml has the type "paymnet": did you mean "payment"?`},
		"an attribute":                {`grant contains "view" if "open" in input.resource.attributes.stat`, `3 warn no resource in realm.yaml that uma.policies.payment decides about has the attribute "stat": did you mean "state"?`},
		"an attribute of a user":      {`grant contains "view" if input.subject.attributes.rank > 2`, `3 warn no user or client in realm.yaml has the attribute "rank"`},
		"a claim":                     {`grant contains "view" if input.claims.verified.mfa`, `3 warn no user or client in realm.yaml has the claim "mfa"`},
		"claims of every token":       {`grant contains "view" if input.claims.verified.acr == input.claims.verified.email`, ""},
		"a pushed claim":              {`need_info contains {"name": "amount"} if not input.claims.pushed.amuont`, `3 warn no rule wants the claim "amuont": did you mean "amount"?`},
		"a pushed claim, not wanted":  {`grant contains "view" if input.claims.pushed.whatever`, ""},
		"by an import":                {"import input.subject as who\n\ngrant contains \"view\" if \"amdin\" in who.roles", `5 block no user or client in realm.yaml has the role "amdin": did you mean "admin"?`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{"a.rego": header + tc.rules + "\n", "shelf.rego": shelf}
			want := []string{}
			if tc.want != "" {
				want = append(want, "a.rego:"+tc.want)
			}
			if got := findings(t, shop, files); !slices.Equal(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
			if got := findings(t, "", files); len(got) > 0 {
				t.Errorf("without a realm: got %q", got)
			}
		})
	}
}

// TestRulesThatNothingReads: a rule of a package of the contract is read by a rule of the
// contract, directly or not, or it does nothing.
func TestRulesThatNothingReads(t *testing.T) {
	t.Parallel()
	const uses = "use it in a rule of the contract (grant, deny, need_info, submit, reasons, obligations, rpt), or delete it"
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"misspelt":         {header + `grants contains "view"`, []string{"3 block nothing reads grants in uma.policies.payment: did you mean `grant`?"}},
		"exchanged":        {header + `dney contains "no"`, []string{"3 block nothing reads dney in uma.policies.payment: did you mean `deny`?"}},
		"two edits":        {header + `nedinfo contains {"name": "x"}`, []string{"3 block nothing reads nedinfo in uma.policies.payment: did you mean `need_info`?"}},
		"a synonym":        {header + "default allow := false\n\nallow if input.subject.type == \"user\"", []string{"3 block nothing reads allow in uma.policies.payment: did you mean `grant`?"}},
		"other synonyms":   {header + "permit contains \"view\"\n\nforbid contains \"x\"\n\nblock if true", []string{"3 block nothing reads permit in uma.policies.payment: did you mean `grant`?", "5 block nothing reads forbid in uma.policies.payment: did you mean `deny`?", "7 block nothing reads block in uma.policies.payment: did you mean `deny`?"}},
		"a helper":         {header + "grant contains \"view\" if allow\n\nallow if open\n\nopen if input.subject.type == \"user\" else := 2 if late\n\nlate if true", nil},
		"an alternative":   {header + "rpt := {\"ttl\": 60} if input.scopes == [] else := {\"ttl\": 30} if late\n\nlate if true", nil},
		"a helper of none": {header + "grant contains \"view\"\n\nfriend if other\n\nother if true", []string{"5 block nothing reads friend in uma.policies.payment: " + uses, "7 block nothing reads other in uma.policies.payment: " + uses}},
		"a function":       {header + "grant contains \"view\" if f(1)\n\nf(x) if x == 1\n\ng(x) if x == 1", []string{"7 block nothing reads g in uma.policies.payment: " + uses}},
		"through a lib":    {header + "import data.lib.x\n\ngrant contains \"view\" if x.helped\n\nhelps if true", nil},
		"below a type":     {"package uma.policies.payment.sub\n\ngrant contains \"view\"", []string{"3 block nothing reads grant in uma.policies.payment.sub: only the rules of uma.policies.payment itself decide"}},
		"a guardrail":      {"package uma.guardrails\n\ndeny contains \"x\" if night\n\nnight if true\n\ndenied contains \"x\"", []string{"7 block nothing reads denied in uma.guardrails: did you mean `deny`?"}},
		"guardrails grant": {"package uma.guardrails\n\ngrant contains \"view\"", []string{"3 block nothing reads grant in uma.guardrails: guardrails only deny and want claims; move the rule to a package uma.policies.<type>"}},
		"a mask":           {"package system.log\n\nmasks contains \"/input\"\n\ndrop if false\n\nother if true\n\nmask contains \"/input/x\" if used\n\nused if true", []string{"3 block nothing reads masks in system.log: did you mean `mask`?", "5 warn drop in system.log does nothing: every decision has a record", "7 warn nothing reads other in system.log: only `mask` is read"}},
		"a library":        {"package lib.unused\n\nanything if true", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{"a.rego": tc.text + "\n", "lib.rego": "package lib.x\n\nhelped if data.uma.policies.payment.helps\n"}
			if !strings.Contains(tc.text, "helps") {
				delete(files, "lib.rego")
			}
			var want []string
			for _, line := range tc.want {
				want = append(want, "a.rego:"+line)
			}
			if got := findings(t, "", files); !slices.Equal(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

// TestOwnEntryPoint: what the realm's own entry point reads does something.
func TestOwnEntryPoint(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"a.rego":   header + "allow if true\n\nunread if true\n",
		"own.rego": "package lib.own\n\ndecision := {\"granted\": [\"x\"]} if data.uma.policies.payment.allow\n",
	}
	own := strings.Replace(shop, "{bundle: ./policies}", "{bundle: ./policies, entrypoint: data.lib.own.decision}", 1)
	if got := findings(t, own, files); len(got) != 1 || !strings.Contains(got[0], "nothing reads unread") {
		t.Errorf("got %q, want one rule", got)
	}
}

// TestUndefined: references to what no rule and no data defines. `not` of such a reference
// holds for everybody.
func TestUndefined(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"lib/data.json": `{"hours": {"open": [8, 9]}, "list": [{"a": 1}]}`,
		"lib.rego":      "package lib.times\n\nlimits := {\"day\": 1}\n\nnow if true\n",
	}
	for text, want := range map[string]string{
		"import data.uma.sharing\n\ndeny contains \"x\" if not sharing.is_ownr": "5 block data.uma.sharing.is_ownr is not defined: did you mean `is_owner`?",
		"deny contains \"x\" if not data.lib.tims.now":                          "3 block data.lib.tims is not defined: did you mean `times`?",
		"deny contains \"x\" if not data.lib.times.later":                       "3 warn data.lib.times.later is not defined: it is always undefined, and `not` of it always true",
		"deny contains \"x\" if not data.lib.hours.opn":                         "3 block data.lib.hours.opn is not defined: did you mean `open`?",
		"deny contains \"x\" if [data.lib.hours.opn | true] == []":              "3 block data.lib.hours.opn is not defined: did you mean `open`?",
		"deny contains data.lib.times.limits[input.resource.name]":              "",
		"deny contains \"x\" if data.lib.hours.open[_] == 8":                    "",
		"deny contains \"x\" if data.lib.list[0].b":                             "",
		"deny contains \"x\" if data.lib[input.resource.name]":                  "",
		"deny contains \"x\" if data.uma.teams.x":                               "3 warn data.uma.teams.x is not defined: it is always undefined, and `not` of it always true",
	} {
		all := maps.Clone(files)
		all["a.rego"] = header + text + "\n"
		got := strings.Join(findings(t, "", all), "\n")
		if want != "" {
			want = "a.rego:" + want
		}
		if got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", text, got, want)
		}
	}
}

// TestTypes: packages are compared with the types of the realm's resources, aliases of types
// included.
func TestTypes(t *testing.T) {
	t.Parallel()
	payment := header + "grant contains \"view\"\n"
	for name, tc := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"misspelt": {map[string]string{"a.rego": strings.Replace(payment, "payment", "paymnet", 1), "shelf.rego": shelf}, []string{
			`a.rego:1 block no resource has the type "paymnet": did you mean "payment", package uma.policies.payment?`,
			"realm.yaml:0 warn no package uma.policies.payment decides about resources of type payment, such as Invoice: uma.policies.default decides, and grants nothing",
		}},
		"no resource of it": {map[string]string{"a.rego": payment, "shelf.rego": shelf, "b.rego": "package uma.policies.album\n\ngrant contains \"anything\"\n"}, nil},
		"none": {map[string]string{"a.rego": payment}, []string{
			"realm.yaml:0 warn no package uma.policies.shelf decides about resources of type shelf, such as Shelf: uma.policies.default decides, and grants nothing",
		}},
		"default": {map[string]string{"a.rego": payment, "d.rego": "package uma.policies.default\n\ngrant contains \"restock\"\n"}, nil},
		"alias": {map[string]string{
			"a.rego": "package uma.policies.pay\n\ngrant contains \"veiw\"\n", "shelf.rego": shelf,
			"data.json": `{"uma": {"facts": {"type_alias": {"payment": "pay", "urn:of:the:api": "parcel"}}}}`,
			"p.rego":    "package uma.policies.parcel\n\ngrant contains \"send\"\n",
		}, []string{`a.rego:3 block no resource of type payment in realm.yaml has the scope "veiw": did you mean "view"?`}},
		"computed": {map[string]string{
			"a.rego": strings.Replace(payment, "payment", "paymnet", 1),
			"f.rego": "package uma.facts\n\ntype_alias[t] := \"paymnet\" if some t in [\"payment\"]\n",
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := findings(t, shop, tc.files); !slices.Equal(got, tc.want) {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
		})
	}
}

// TestDefaultPackage: uma.policies.default decides about resources of every type, whatever
// their types are called.
func TestDefaultPackage(t *testing.T) {
	t.Parallel()
	more := shop + "  - {name: Rest, resource_server: shop-api, type: default, scopes: [read]}\n" +
		"  - {name: Fault, resource_server: shop-api, type: defaults, scopes: [view]}\n"
	files := map[string]string{"d.rego": "package uma.policies.default\n\ngrant contains \"restock\"\n\ngrant contains \"veiw\"\n"}
	for _, file := range []string{more, strings.Replace(more, "type: default,", "type: other,", 1)} {
		got := findings(t, file, files)
		want := []string{`d.rego:5 block no resource in realm.yaml has the scope "veiw": did you mean "view"?`}
		if !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

// TestIssuers: where tokens of other issuers count, they name roles and groups that the file
// does not have.
func TestIssuers(t *testing.T) {
	t.Parallel()
	trusting := shop + "issuers:\n  - {issuer: https://idp.example.com, alias: idp, audiences: [shop]}\n"
	files := map[string]string{"shelf.rego": shelf, "a.rego": header + `
grant contains "view" if "amdin" in input.subject.roles

grant contains "view" if "/freinds" in input.subject.groups

grant contains "view" if "janitor" in input.subject.roles

grant contains "view" if input.claims.verified.mfa

grant contains "veiw"
`}
	want := []string{
		`a.rego:4 warn no user or client in realm.yaml has the role "amdin": did you mean "admin"?`,
		`a.rego:6 warn no user or client in realm.yaml has the group "/freinds": did you mean "/friends"?`,
		`a.rego:12 block no resource of type payment in realm.yaml has the scope "veiw": did you mean "view"?`,
	}
	if got := findings(t, trusting, files); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestExamples: the policies that ship as examples have no findings.
func TestExamples(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"../examples/photoz/realm.yaml", "../cmd/umpire/starter/realm.yaml"} {
		spec, _, err := realm.Check(file)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(filepath.Dir(file), "policies")
		b, err := bundles.ReadDir(dir, bundles.Options{Parser: engine.ParserOptions()})
		if err != nil {
			t.Fatal(err)
		}
		found, err := lint.Check(engine.Source{Modules: b.Modules, Data: b.Data, Folder: dir}, "data.uma.authz.decision", lint.NamesOf(file, spec))
		if err != nil || len(found) > 0 {
			t.Errorf("%s: got %v, %+v", file, err, found)
		}
	}
}

// TestNamesOfAServer: a server knows the names of the realm file that was applied, and those
// of resources that a resource server owns. If it does not know all, a near miss of a type or
// scope is a warning.
func TestNamesOfAServer(t *testing.T) {
	t.Parallel()
	spec, _, err := realm.Parse("realm.yaml", []byte(shop), os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	own := []uma.TypeScope{{Type: "parcel", Scope: "track"}, {Type: "payment", Scope: "export-all"}, {Type: "stamp"}}
	for name, tc := range map[string]struct {
		known uma.PolicyNames
		rules string
		want  string
	}{
		"of the file":         {uma.PolicyNames{File: uma.NamesOf(spec), Own: own}, header + `grant contains "veiw"`, `a.rego:3 block no resource of type payment in realm shop has the scope "veiw": did you mean "view"?`},
		"a role":              {uma.PolicyNames{File: uma.NamesOf(spec), Own: own}, header + `grant contains "view" if "amdin" in input.subject.roles`, `a.rego:3 block no user or client in realm shop has the role "amdin": did you mean "admin"?`},
		"registered":          {uma.PolicyNames{File: uma.NamesOf(spec), Own: own}, header + `grant contains "export-all"`, ""},
		"near a registered":   {uma.PolicyNames{File: uma.NamesOf(spec), Own: own}, header + `grant contains "exportall"`, `a.rego:3 block no resource of type payment in realm shop has the scope "exportall": did you mean "export-all"?`},
		"a registered type":   {uma.PolicyNames{File: uma.NamesOf(spec), Own: own}, "package uma.policies.stamp\n\ngrant contains \"*\"", ""},
		"near such a type":    {uma.PolicyNames{File: uma.NamesOf(spec), Own: own}, "package uma.policies.stmap\n\ngrant contains \"*\"", `a.rego:1 block no resource has the type "stmap": did you mean "stamp", package uma.policies.stamp?`},
		"one of many":         {uma.PolicyNames{File: uma.NamesOf(spec), Own: own, More: true}, header + `grant contains "veiw"`, `a.rego:3 warn no resource of type payment in realm shop has the scope "veiw": did you mean "view"?`},
		"a type, one of many": {uma.PolicyNames{File: uma.NamesOf(spec), Own: own, More: true}, "package uma.policies.stmap\n\ngrant contains \"*\"", `a.rego:1 warn no resource has the type "stmap": did you mean "stamp", package uma.policies.stamp?`},
		"no file":             {uma.PolicyNames{Own: own}, "package uma.policies.stmap\n\ngrant contains \"track\" if \"amdin\" in input.subject.roles", `a.rego:1 warn no resource has the type "stmap": did you mean "stamp", package uma.policies.stamp?`},
	} {
		b, err := bundles.Parse(map[string]string{"a.rego": tc.rules + "\n"}, bundles.Options{Parser: engine.ParserOptions()})
		if err != nil {
			t.Fatal(err)
		}
		found, err := lint.Check(engine.Source{Files: b.Files, Modules: b.Modules}, "data.uma.authz.decision", lint.NamesIn(&spec.Realm, &tc.known))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range found {
			severity := "warn"
			if f.Blocks {
				severity = "block"
			}
			if f.File != "" { // not the warnings about types without a package
				got = append(got, fmt.Sprintf("%s:%d %s %s", f.File, f.Line, severity, f.Text))
			}
		}
		if strings.Join(got, "\n") != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}
