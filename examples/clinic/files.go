package clinic

import (
	"net/http"

	"example.com/umpire/pep"
)

// rules say what each request needs. The URIs are those of the resources in realm.yaml.
var rules = []pep.Rule{
	{Method: "GET", Path: "/files/{patient}", URI: "/files/{patient}", Scopes: []string{"read"}},
}

// notes are in the files, by patient.
var notes = map[string][]string{"weber": {"Slept well."}, "stone": {"Asked for discretion."}}

// PatientFiles returns the resource server. Package pep asks for RPTs, and lets requests through that have the permission.
func PatientFiles(cfg pep.Config) (http.Handler, error) {
	cfg.Rules = rules
	enforcer, err := pep.New(cfg)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /files/{patient}", read)
	return enforcer.Protect(mux), nil
}

func read(w http.ResponseWriter, r *http.Request) {
	answer(w, http.StatusOK, map[string]any{"notes": notes[r.PathValue("patient")]})
}
