package main

import (
	"context"
	"fmt"
	"net/http"

	"example.com/umpire/examples/photoz"
	"example.com/umpire/pep"
)

// photoz tells the story of an album.
func (d *demo) photoz(ctx context.Context) (next string, err error) {
	as, err := d.server(ctx, "photoz", photoz.Files)
	if err != nil {
		return "", err
	}
	site, err := d.serve(ctx, func(string) (http.Handler, error) {
		return photoz.New(pep.Config{
			AuthorizationServer: as, Realm: "photoz", ClientID: "photoz-api", ClientSecret: "photoz-api-secret", Mode: pep.Local,
		})
	})
	if err != nil {
		return "", err
	}
	fmt.Fprintf(d.stdout, "authorization server  %s\nphotoz site           %s\nrealm file            %s\n", as, site, d.file("photoz"))
	story := photoz.Story{AS: as, Site: site, Walk: d.walk()}
	return fmt.Sprintf(`Both servers run until Ctrl-C. To try more (users and passwords: alice, bob, carol, dave):

  AS=%[1]s SITE=%[2]s
  curl -i $SITE/album/1
  TOKEN=$(curl -s $AS/protocol/openid-connect/token -d grant_type=password -d client_id=photoz-web -d username=bob -d password=bob | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  curl -s $AS/protocol/openid-connect/token -H "Authorization: Bearer $TOKEN" -d grant_type=urn:ietf:params:oauth:grant-type:uma-ticket -d audience=photoz-api -d 'permission=Public board#view' -d response_mode=permissions
  %[3]s decisions list --data %[4]s
`, as, site, program(), d.data()), story.Tell(ctx)
}
