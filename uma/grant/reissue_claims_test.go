package grant

import (
	"reflect"
	"testing"

	"example.com/umpire/uma"
	"example.com/umpire/uma/umatest"
)

// A hint is told once, and two of one name both. What the policy leaves open is filled in: the
// formats, and the issuers that may assert the claim.
func TestRequiredClaims(t *testing.T) {
	t.Parallel()
	need := func(name string, issuers ...string) uma.Need {
		return uma.Need{RequiredClaim: uma.RequiredClaim{Name: name, Issuers: issuers}}
	}
	d := &decisions{list: []*decision{
		{needs: []uma.Need{need("acr"), need("email", "https://a.example")}},
		{needs: []uma.Need{need("email", "https://b.example"), need("acr"), {RequiredClaim: uma.RequiredClaim{Name: "license", Formats: []string{"f"}}}}},
	}}
	s := &Service{PublicURL: umatest.PublicURL}
	claims := []uma.TokenUse{uma.UseClaims}
	q := &question{realm: &uma.Snapshot{Realm: uma.Realm{Name: "photoz", Issuers: []uma.TrustedIssuer{
		{Issuer: "https://a.example", Accept: claims, Claims: []string{"license", "email"}},
		{Issuer: "https://b.example", Accept: claims, Claims: []string{"license"}},
		{Issuer: "https://c.example", Accept: []uma.TokenUse{uma.UseBearer}, Claims: []string{"license"}},
	}}}}
	formats := []string{"http://openid.net/specs/openid-connect-core-1_0.html#IDToken", "urn:ietf:params:oauth:token-type:jwt"}
	want := []uma.RequiredClaim{
		{Name: "acr", Formats: formats},
		{Name: "email", Formats: formats, Issuers: []string{"https://a.example"}},
		{Name: "email", Formats: formats, Issuers: []string{"https://b.example"}},
		{Name: "license", Formats: []string{"f"}, Issuers: []string{"https://a.example", "https://b.example"}},
	}
	if got := s.requiredClaims(q, d); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	want = []uma.RequiredClaim{{Formats: formats, Issuers: []string{"https://as.example/realms/photoz", "https://a.example", "https://b.example"}}}
	if got := s.requiredClaims(q, &decisions{}); !reflect.DeepEqual(got, want) {
		t.Errorf("nothing wanted: got %v\nwant %v", got, want)
	}
	q.realm.Realm.Issuers = nil
	want[0].Issuers = nil
	if got := s.anyClaims(q); !reflect.DeepEqual(got, want) {
		t.Errorf("no issuers: got %v\nwant %v", got, want)
	}
}
