package main

import (
	"context"
	"fmt"
	"net/http"

	"example.com/umpire/examples/clinic"
	"example.com/umpire/pep"
)

// clinic tells the story of a sealed file.
func (d *demo) clinic(ctx context.Context) (next string, err error) {
	employer, err := d.serve(ctx, func(url string) (http.Handler, error) { return clinic.Employer(url, d.now), nil })
	if err != nil {
		return "", err
	}
	council, err := d.serve(ctx, func(url string) (http.Handler, error) { return clinic.Council(url, d.now), nil })
	if err != nil {
		return "", err
	}
	as, err := d.server(ctx, "clinic", clinic.Files, clinic.EmployerInFile, employer, clinic.CouncilInFile, council)
	if err != nil {
		return "", err
	}
	files, err := d.serve(ctx, func(string) (http.Handler, error) {
		return clinic.PatientFiles(pep.Config{
			AuthorizationServer: as, Realm: "clinic", ClientID: "files-api", ClientSecret: "clinic-files-secret", Mode: pep.Introspection,
		})
	})
	if err != nil {
		return "", err
	}
	lab, err := d.serve(ctx, func(string) (http.Handler, error) { return clinic.Laboratory(as), nil })
	if err != nil {
		return "", err
	}
	pharmacy, err := d.serve(ctx, func(string) (http.Handler, error) { return clinic.Pharmacy(as), nil })
	if err != nil {
		return "", err
	}
	fmt.Fprintf(d.stdout, `authorization server  %s
employer's server     %s
medical council       %s
patients' files       %s
laboratory, pharmacy  %s  %s
realm file            %s
`, as, employer, council, files, lab, pharmacy, d.file("clinic"))
	story := clinic.Story{AS: as, Employer: employer, Council: council, Files: files, Lab: lab, Pharmacy: pharmacy, Walk: d.walk()}
	return fmt.Sprintf(`The servers run until Ctrl-C. To try more (people: amara, noah):

  EMPLOYER=%[1]s LAB=%[2]s
  TOKEN=$(curl -s $EMPLOYER/token -d person=noah -d client_id=lab-31c4 -d audience=lab-31c4 | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  curl -s $LAB/results/weber -H "Authorization: Bearer $TOKEN"
  %[3]s party list --realm clinic --data %[4]s
  %[3]s decisions list --data %[4]s
`, employer, lab, program(), d.data()), story.Tell(ctx)
}
