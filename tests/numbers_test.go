package tests

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

// decodedPart is the payload of a token as it is written.
func decodedPart(t testing.TB, token string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("no token: %s", token)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestNumbersAsWritten: a number of a user's claims is what the realm file says,
// digit by digit, wherever it is shown. Read as a float, 9007199254740993 is
// ...992: a rule for the one account would let the other in.
func TestNumbersAsWritten(t *testing.T) {
	t.Parallel()
	for _, n := range []string{
		"9007199254740993", "-9007199254740993", "9223372036854775807", "18446744073709551615",
		"123456789012345678901234567890", "0.1000000000000000055511151231257827", "1e3", "1.50", "7",
	} {
		t.Run(n, func(t *testing.T) {
			t.Parallel()
			policy := fmt.Sprintf(`package uma.policies.board
grant contains "view" if {
	input.subject.attributes.acct == %[1]s
	input.subject.attributes.deep.list[0] == %[1]s
	not input.subject.attributes.acct == %[1]s - 1
}
grant contains "post" if input.claims.verified.updated_at == %[1]s
obligations contains {"id": "o", "properties": {"acct": input.subject.attributes.acct}}`, n)
			e := start(t, photozWith(t, map[string]string{"board.rego": policy},
				"claims: {email: bob@example.com,", fmt.Sprintf("claims: {acct: %[1]s, deep: {list: [%[1]s]}, updated_at: %[1]s, email: bob@example.com,", n)))
			db := e.stored(t)
			bob := e.signIn(t, "bob", "photoz-app", "openid")
			var rpt *response
			records := recordsOf(t, db, func() {
				rpt = e.uma(t, bearer(bob.access), "permission", "Public board", "claim_token", bob.id, "claim_token_format", claimsID)
			})
			rpt.expectGranted(t, "Public board: view post")
			if len(records) != 1 {
				t.Fatalf("got %d records", len(records))
			}
			record := string(records[0].Event)
			info := e.do(t, request{method: "GET", url: "/protocol/openid-connect/userinfo", as: bearer(bob.access)})
			active := e.do(t, request{method: "POST", url: introspect, as: basic("photoz-api"), form: form("token", bob.access)})
			updated := `"updated_at":` + n
			for where, shown := range map[string][2]string{
				"access token":       {decodedPart(t, bob.access), updated},
				"ID token":           {decodedPart(t, bob.id), updated},
				"RPT":                {decodedPart(t, rpt.str("access_token")), updated},
				"userinfo":           {string(info.raw), updated},
				"introspection":      {string(active.raw), updated},
				"record, attributes": {record, `"acct":` + n},
				"record, deep":       {record, `"list":[` + n + `]`},
				"record, verified":   {record, `"verified":{"`},
				"record, result":     {record, `"properties":{"acct":` + n + `}`},
			} {
				if !strings.Contains(shown[0], shown[1]) {
					t.Errorf("%s: want %s in %s", where, shown[1], shown[0])
				}
			}
			if strings.Count(record, updated) != 3 { // attributes, verified claims, those of the token
				t.Errorf("got record %s", record)
			}
		})
	}
}

// TestNumbersInTexts: a number where a text belongs is refused, so that nobody reads
// it as another.
func TestNumbersInTexts(t *testing.T) {
	t.Parallel()
	const n = "9007199254740993"
	e := start(t)
	res := e.do(t, request{
		method: "POST", url: resourceSet, as: e.service(t, "photoz-api"), headers: map[string]string{"Content-Type": "application/json"},
		body: `{"name":"Numbered","type":"board","resource_scopes":["view"],"attributes":{"acct":[` + n + `]}}`,
	})
	res.expect(t, 400, "invalid_request", "")
	claims := base64.RawURLEncoding.EncodeToString([]byte(`{"acct":[` + n + `]}`))
	e.uma(t, e.as(t, "bob", "photoz-app"), "permission", "Public board#view", "claim_token", claims, "claim_token_format", claimsJWT).expect(t, 400, "invalid_request", "Invalid claims")
}
