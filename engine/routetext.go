package engine

import "text/template"

// routeText is the module that is generated for a route. It has `{"*"} & set` where one would
// write `"*" in set`: that does not compile if the package's own elements are no texts.
var routeText = template.Must(template.New("route").Parse(`# Generated from the rules of {{.Package}}.
package uma.routed

# the resource is not the party's, nothing is shared, and the owner is not asked: the team decides alone
decision := {
	"granted": {{if .Has.grant}}granted{{else}}set(){{end}},
	"need_info": set(),
	"submit": {{if .Has.submit}}submit{{else}}set(){{end}},
	{{- template "rest" .}}
	"rests_on": set(),
} if {
	{{- template "conditions" .}}
	{{- with .Has.grant}}
	{"*"} & {{.}} == set()
	{{- end}}
	{{- with .Has.submit}}
	{"*"} & {{.}} == set()
	{{- end}}
	{{- if or .Has.grant .Has.submit}}
	asked := {s | some s in input.scopes}
	{{- end}}
	{{- with .Has.grant}}
	granted := asked & {{.}}
	{{- end}}
	{{- with .Has.submit}}
	submit := {{if $.Has.grant}}(asked & {{.}}) - granted{{else}}asked & {{.}}{{end}}
	{{- end}}
{{- if .Has.grant}}
} else := {
	"granted": data.uma.authz.asked,
	"need_info": set(),
	"submit": set(),
	{{- template "rest" .}}
	"rests_on": set(),
} if {
	{{- template "conditions" .}}
	{"*"} & {{.Has.grant}} != set()
	{{- with .Has.submit}}
	{{.}} != null
	{{- end}}
{{- end}}
}

# what the team says, for all other decisions
team := {
	"grant": {{.Member "grant"}},
	"deny": {{.Member "deny"}},
	"need_info": {{.Member "need_info"}},
	"submit": {{.Member "submit"}},
	{{- template "rest" .}}
} if {
	{{.Condition}}
	{{- if .Others}}
	others
	{{- end}}
}
{{- with .Has.rpt}}

rpt := value if {
	{{$.Condition}}
	value := {{.}}
} else := {} if {
	{{$.Condition}}
}
{{- end}}
{{- range $name, $ref := .Others}}

others contains {{$.Text $name}} if {
	{{$.Condition}}
	{{$ref}}
}
{{- end}}
{{define "conditions"}}
	{{.Condition}}
	input.shares == []
	not input.resource.owner_managed
	not data.uma.sharing.is_owner
	input.scopes
	{{- range .Guards}}
	{{.}} == set()
	{{- end}}
	{{- range .Restricts}}
	{{.}} == set()
	{{- end}}
	{{- if .Others}}
	others
	{{- end}}
{{- end}}
{{- define "rest"}}
	"reasons": {{.Member "reasons"}},
	"obligations": {{.Member "obligations"}},
	"rpt": {{.Member "rpt"}},
{{- end}}`))
