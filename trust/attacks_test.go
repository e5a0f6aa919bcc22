package trust

import (
	"bytes"
	"compress/flate"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"example.com/umpire/uma"
)

// forgeries returns tokens that are not to be believed, by name, with the reason. All of them
// are signed with the right key, or as well as their maker can.
func forgeries(t testing.TB, s *signer) map[string]forgery {
	t.Helper()
	good := headerText("RS256", "rsa", "at+jwt")
	plain := s.payload(t, nil)
	rs := func(header, payload string) string { return signText(t, rsaKey, "RS256", header, payload) }
	head := func(member string) string { return rs(strings.Replace(good, "}", ","+member+"}", 1), plain) }
	body := func(member string) string { return rs(good, strings.Replace(plain, "{", "{"+member+",", 1)) }
	claim := func(change map[string]any) string { return s.token(t, "rsa", "RS256", change) }
	swap := func(old, new string) string { return rs(good, strings.Replace(plain, old, new, 1)) }
	valid := rs(good, plain)
	unsigned := valid[:strings.LastIndexByte(valid, '.')+1]
	der, err := x509.MarshalPKIXPublicKey(rsaKey.Public())
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey)
	jwkText := []byte(publicJWK(t, rsaKey, "rsa"))
	pemOf := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	var deflated bytes.Buffer
	w, _ := flate.NewWriter(&deflated, flate.BestCompression)
	_, _ = w.Write([]byte(plain))
	_ = w.Close()

	const alg, sig, header, claims = "its alg is none", "signature", "header", "its claims cannot be read"
	return map[string]forgery{
		"A-69 alg none":                    {signHMAC(nil, headerText("none", "rsa", "at+jwt"), plain), alg},
		"A-69 alg none, no signature":      {b64("{\"alg\":\"none\"}") + "." + b64(plain) + ".", sig},
		"A-69 alg nOnE":                    {signHMAC(nil, headerText("nOnE", "rsa", "at+jwt"), plain), alg},
		"A-69 alg missing":                 {rs(`{"kid":"rsa","typ":"at+jwt"}`, plain), alg},
		"A-69 alg empty":                   {rs(`{"alg":"","kid":"rsa"}`, plain), header},
		"A-69 alg a list":                  {rs(`{"alg":["RS256"],"kid":"rsa"}`, plain), header},
		"A-69 empty signature":             {unsigned, sig},
		"A-69 no signature":                {strings.TrimSuffix(unsigned, "."), "not a signed JWT"},
		"A-69 alg twice":                   {rs(`{"alg":"none",`+good[1:], plain), header},
		"A-69 alg and ALG":                 {rs(`{"ALG":"none",`+good[1:], plain), header},
		"A-70 HS256 by the DER":            {signHMAC(der, headerText("HS256", "rsa", "at+jwt"), plain), alg},
		"A-70 HS256 by the PEM":            {signHMAC(pemOf("PUBLIC KEY", der), headerText("HS256", "rsa", "at+jwt"), plain), alg},
		"A-70 HS256 by PKCS 1":             {signHMAC(pemOf("RSA PUBLIC KEY", pkcs1), headerText("HS256", "rsa", "at+jwt"), plain), alg},
		"A-70 HS256 by the JWK":            {signHMAC(jwkText, headerText("HS256", "rsa", "at+jwt"), plain), alg},
		"A-70 HS256 under RS256":           {signHMAC(der, good, plain), sig},
		"A-70 HS256 under EdDSA":           {signHMAC(s.keys["ed"].Public().(ed25519.PublicKey), headerText("EdDSA", "ed", "at+jwt"), plain), sig},
		"A-70 ES256 by the RSA key":        {signText(t, rsaKey, "RS256", headerText("ES256", "rsa", "at+jwt"), plain), "its key is not one for its algorithm"},
		"A-70 RS256 by the EC key":         {signText(t, ecKey, "ES256", headerText("RS256", "ec", "at+jwt"), plain), "its key is not one for its algorithm"},
		"A-70 ES256 by another curve":      {signText(t, ec384Key, "ES384", headerText("ES256", "ec384", "at+jwt"), plain), "its key is not one for its algorithm"},
		"A-70 PS256, which is not allowed": {signText(t, rsaKey, "PS256", headerText("PS256", "rsa", "at+jwt"), plain), "not among the issuer's algorithms"},
		"A-70 PS256 under RS256":           {signText(t, rsaKey, "PS256", good, plain), sig},
		"A-70 RS256 of another key":        {signText(t, otherKey, "RS256", good, plain), sig},
		"A-70 an unknown kid":              {rs(headerText("RS256", "nobody", "at+jwt"), plain), "not published"},
		"A-70 no kid, and two keys":        {rs(`{"alg":"RS256"}`, plain), "more than one published key"},
		"A-70 kid a number":                {rs(`{"alg":"RS256","kid":1}`, plain), header},
		"A-70 kid null":                    {rs(`{"alg":"RS256","kid":null}`, plain), header},

		"A-72 an unknown issuer":       {claim(map[string]any{"iss": "https://evil.example/"}), "no trusted issuer"},
		"A-72 without the slash":       {claim(map[string]any{"iss": strings.TrimSuffix(foreign, "/")}), "no trusted issuer"},
		"A-72 with another slash":      {claim(map[string]any{"iss": foreign + "/"}), "no trusted issuer"},
		"A-72 by case":                 {claim(map[string]any{"iss": strings.ToUpper(foreign)}), "no trusted issuer"},
		"A-72 with userinfo":           {claim(map[string]any{"iss": "https://x@login.example.com/"}), "no trusted issuer"},
		"A-72 with a port":             {claim(map[string]any{"iss": "https://login.example.com:443/"}), "no trusted issuer"},
		"A-72 with a blank":            {claim(map[string]any{"iss": foreign + " "}), "no trusted issuer"},
		"A-72 no issuer":               {claim(map[string]any{"iss": nil}), "no trusted issuer"},
		"A-72 the empty issuer":        {claim(map[string]any{"iss": ""}), "no trusted issuer"},
		"A-72 a list of issuers":       {claim(map[string]any{"iss": []string{foreign}}), "no trusted issuer"},
		"A-72 another issuer's, by us": {claim(map[string]any{"iss": "https://other.example.com"}), "not among the issuer's algorithms"},
		"A-72 another issuer's, by the wrong kid": {signText(t, rsaKey, "RS256", headerText("EdDSA", "rsa", "JWT"),
			s.payload(t, map[string]any{"iss": "https://other.example.com"})), "not published"},

		"A-73 jku":            {head(`"jku":"https://evil.example/keys"`), "its header has jku"},
		"A-73 x5u":            {head(`"x5u":"https://evil.example/cert"`), "its header has x5u"},
		"A-73 jwk":            {signText(t, clientKeys, "ES256", `{"alg":"ES256","jwk":`+publicJWK(t, clientKeys, "x")+`}`, plain), "its header has jwk"},
		"A-73 JWK":            {head(`"JWK":{}`), header},
		"A-73 jku, null":      {head(`"jku":null`), "its header has jku"},
		"A-73 x5c of another": {signText(t, clientKeys, "ES256", `{"alg":"ES256","kid":"ec","x5c":["`+base64.StdEncoding.EncodeToString(der)+`"]}`, plain), header},

		"A-74 an unknown crit": {head(`"crit":["exp"],"exp":1`), "its header has crit"},
		"A-74 crit b64":        {head(`"crit":["b64"],"b64":false`), "which is not allowed"},
		"A-74 an empty crit":   {head(`"crit":[]`), "its header has crit"},
		"A-74 Crit":            {head(`"Crit":["x"]`), header},
		"A-74 b64 alone":       {head(`"b64":false`), "its header has b64"},

		"A-75 aud a number":         {claim(map[string]any{"aud": 1}), "its aud"},
		"A-75 aud a list of others": {claim(map[string]any{"aud": []any{"umpire", 1}}), "its aud"},
		"A-75 aud empty":            {claim(map[string]any{"aud": ""}), "its aud"},
		"A-75 aud null":             {swap(`"aud":"umpire"`, `"aud":null`), "its aud"},
		"A-75 azp a list":           {claim(map[string]any{"azp": []string{"guid"}}), "its azp"},
		"A-75 azp empty":            {claim(map[string]any{"azp": ""}), "its azp"},

		"A-76 expired":              {claim(map[string]any{"exp": s.now.Unix()}), "expired"},
		"A-76 no exp":               {claim(map[string]any{"exp": nil}), "it has no exp"},
		"A-76 exp zero":             {claim(map[string]any{"exp": 0}), "it has no exp"},
		"A-76 exp null":             {swap(`"exp":`, `"exp":null,"x":`), "its exp"},
		"A-76 exp a text":           {claim(map[string]any{"exp": "4102444800"}), "its exp"},
		"A-76 exp true":             {claim(map[string]any{"exp": true}), "its exp"},
		"A-76 exp 1e400":            {swap(`"exp":`, `"exp":1e400,"x":`), claims},
		"A-76 exp 1e99":             {swap(`"exp":`, `"exp":1e99,"x":`), "its exp"},
		"A-76 exp negative":         {claim(map[string]any{"exp": -1}), "its exp"},
		"A-76 exp twice":            {body(`"exp":1`), claims},
		"A-76 Exp":                  {body(`"Exp":4102444800`), claims},
		"A-76 nbf in the future":    {claim(map[string]any{"nbf": s.now.Unix() + 31}), "not valid yet"},
		"A-76 nbf a text":           {claim(map[string]any{"nbf": "0"}), "its nbf"},
		"A-76 iat in the future":    {claim(map[string]any{"iat": s.now.Unix() + 31}), "not valid yet"},
		"A-76 iat a text":           {claim(map[string]any{"iat": "0"}), "its iat"},
		"A-76 auth_time a text":     {claim(map[string]any{"auth_time": "0"}), "its auth_time"},
		"A-76 expired for long":     {claim(map[string]any{"exp": 1}), "expired"},
		"A-76 a number of 1e9 bits": {body(`"x":1e999999999`), claims},
		"A-76 a tiny number":        {body(`"x":1e-999999999`), claims},
		"A-76 a long number":        {body(`"x":0.` + strings.Repeat("1", 100)), claims},

		"A-77 a logout token":           {rs(headerText("RS256", "rsa", "logout+jwt"), plain), "typ"},
		"A-77 a logout token by events": {claim(map[string]any{"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}}), "logout"},
		"A-77 events null":              {swap(`"jti"`, `"events":null,"jti"`), "logout"},
		"A-77 Keycloak's logout token":  {claim(map[string]any{"typ": "Logout"}), "its typ"},
		"A-77 Keycloak's refresh token": {claim(map[string]any{"typ": "Refresh"}), "its typ"},
		"A-77 Keycloak's offline token": {claim(map[string]any{"typ": "Offline"}), "its typ"},
		"A-77 typ by case":              {claim(map[string]any{"typ": "bearer"}), "its typ"},
		"A-77 typ a list":               {claim(map[string]any{"typ": []string{"Bearer"}}), "its typ"},
		"A-77 an ID token as at+jwt":    {claim(map[string]any{"typ": "ID"}), "different kinds"},
		"A-77 a DPoP proof":             {rs(headerText("RS256", "rsa", "dpop+jwt"), plain), "typ"},
		"A-77 a client assertion":       {rs(headerText("RS256", "rsa", "client-authentication+jwt"), plain), "typ"},
		"A-77 an access token of Okta":  {rs(headerText("RS256", "rsa", "application/okta-internal-at+jwt"), plain), "typ"},
		"A-77 typ empty":                {rs(headerText("RS256", "rsa", ""), plain), header},
		"A-77 typ null":                 {rs(`{"alg":"RS256","kid":"rsa","typ":null}`, plain), header},

		"A-79 JWE":             {strings.Repeat("e30.", 4) + "e30", "not a signed JWT"},
		"A-79 zip":             {signText(t, rsaKey, "RS256", `{"alg":"RS256","kid":"rsa","zip":"DEF"}`, deflated.String()), "its header has zip"},
		"A-79 enc":             {head(`"enc":"A128GCM"`), "its header has enc"},
		"A-79 deflated":        {signText(t, rsaKey, "RS256", good, deflated.String()), claims},
		"A-79 nested":          {signText(t, rsaKey, "RS256", `{"alg":"RS256","kid":"rsa","cty":"JWT"}`, valid), claims},
		"A-79 a megabyte":      {body(`"x":"` + strings.Repeat("x", 1<<20) + `"`), "longer than"},
		"A-79 just too long":   {valid + strings.Repeat("A", maxToken-len(valid)+1), "longer than"},
		"A-79 a long header":   {rs(strings.Replace(good, "}", `,"x":"`+strings.Repeat("x", maxHeader)+`"}`, 1), plain), header},
		"A-79 deep":            {body(`"x":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)), "longer than|cannot be read"},
		"A-79 too deep":        {body(`"x":` + strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1)), claims},
		"A-79 many dots":       {strings.Repeat(".", 60_000), "not a signed JWT"},
		"A-79 JSON serialized": {`{"payload":"` + b64(plain) + `","signatures":[{"protected":"` + b64(good) + `","signature":"` + valid[len(unsigned):] + `"}]}`, "not a signed JWT"},

		"sub missing":        {claim(map[string]any{"sub": nil}), "it has no sub"},
		"sub empty":          {claim(map[string]any{"sub": ""}), "it has no sub"},
		"sub a number":       {claim(map[string]any{"sub": 7}), "it has no sub"},
		"sub null":           {swap(`"sub":"u1"`, `"sub":null`), "it has no sub"},
		"sub twice":          {body(`"sub":"root"`), claims},
		"Sub":                {body(`"Sub":"root"`), claims},
		"sub by folding":     {body(`"\u017fub":"root"`), claims},
		"Sub alone":          {swap(`"sub"`, `"Sub"`), claims},
		"twice by escapes":   {body(`"s\u0075b":"root"`), claims},
		"twice, inside":      {body(`"realm_access":{"roles":[],"roles":["admin"]}`), claims},
		"twice by case":      {body(`"tenant":"a","Tenant":"b"`), claims},
		"twice by bad UTF-8": {body("\"\xff\":1,\"\xfe\":2"), claims},
		"bad UTF-8":          {body("\"x\":\"\xff\""), claims},
		"half a surrogate":   {body(`"x":"\ud800"`), claims},
		"a long sub":         {claim(map[string]any{"sub": strings.Repeat("x", maxName+1)}), "map.subject"},
		"a sub in disguise":  {claim(map[string]any{"sub": "u1\u202e"}), "map.subject"},
		"a jti of no text":   {claim(map[string]any{"jti": 1}), "its jti"},

		"a line end after":    {valid + "\n", "line end"},
		"a line end inside":   {valid[:len(valid)-3] + "\n" + valid[len(valid)-3:], "line end"},
		"a carriage return":   {"\r" + valid, "line end"},
		"a blank after":       {valid + " ", "not a signed JWT"},
		"a dot after":         {valid + ".", "not a signed JWT"},
		"padding":             {valid + "==", "not a signed JWT"},
		"other alphabet":      {unsigned + "+/" + valid[len(unsigned)+2:], "not a signed JWT"},
		"non-canonical bits":  {otherBits(valid), "not a signed JWT"},
		"opaque":              {"2YotnFZFEjr1zCsicMWpAA", "not a signed JWT"},
		"empty":               {"", "not a signed JWT"},
		"dots":                {"..", "signature"},
		"not an object":       {rs(good, `["`+foreign+`"]`), claims},
		"null":                {rs(good, "null"), claims},
		"no claims":           {rs(good, ""), claims},
		"something after":     {rs(good, plain+"x"), claims},
		"two objects":         {rs(good, plain+"{}"), claims},
		"a header of no kind": {rs(`[]`, plain), header},
		"tampered":            {tamper(t, valid, `"u1"`, `"u2"`), sig},
	}
}

type forgery struct{ raw, why string }

// A token that is not to be believed is refused for its own reason, in words that quote nothing
// of it, and leaves nothing in the cache or the log.
func TestAttacks(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	for name, f := range forgeries(t, s) {
		t.Run(name, func(t *testing.T) {
			got, err := s.Verify(t.Context(), s.snap, f.raw)
			e := refused(t, err)
			if got != nil {
				t.Errorf("got %+v", got)
			}
			found := false
			for why := range strings.SplitSeq(f.why, "|") {
				found = found || strings.Contains(e.Why, why)
			}
			if !found {
				t.Errorf("got %q, want %q", e.Why, f.why)
			}
			for _, quoted := range []string{"u1", "root", "evil", "guid", f.raw[:min(20, len(f.raw))]} {
				if quoted != "" && strings.Contains(err.Error(), quoted) {
					t.Errorf("%q quotes %q", err, quoted)
				}
			}
		})
	}
	if n := s.cache().Len(); n != 0 || s.log.Len() != 0 {
		t.Errorf("%d tokens are cached, the log has %q", n, s.log)
	}
}

// What is ignored, is ignored: x5t and cty say nothing, and x5c of the right key brings no other.
func TestHeadersWithoutEffect(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	for _, member := range []string{`"x5t":"abc"`, `"cty":"x"`, `"x5t#S256":"abc"`, `"nonce":"n"`, `"unknown":{"a":1}`} {
		raw := signText(t, ecKey, "ES256", `{"alg":"ES256","kid":"ec",`+member+`}`, s.payload(t, nil))
		if _, err := s.Verify(t.Context(), s.snap, raw); err != nil {
			t.Errorf("%s: %v", member, err)
		}
	}
}

// An empty or dangerous setting believes nothing.
func TestSettingsThatBelieveNothing(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*uma.TrustedIssuer){
		"no algorithms":     func(i *uma.TrustedIssuer) { i.Algorithms = nil },
		"HS256":             func(i *uma.TrustedIssuer) { i.Algorithms = []string{"HS256"} },
		"none":              func(i *uma.TrustedIssuer) { i.Algorithms = []string{"none", ""} },
		"no subject":        func(i *uma.TrustedIssuer) { i.Map.Subject = uma.SubjectPath{} },
		"an empty subject":  func(i *uma.TrustedIssuer) { i.Map.Subject.AccessToken = uma.ClaimPath{""} },
		"no keys":           func(i *uma.TrustedIssuer) { i.JWKS = []byte(`{"keys":[]}`) },
		"a number required": func(i *uma.TrustedIssuer) { i.Require = map[string]any{"exp": 1.0} },
	} {
		s := newSigner(t)
		change(s.issuer)
		der, _ := x509.MarshalPKIXPublicKey(rsaKey.Public())
		for _, raw := range []string{s.token(t, "rsa", "RS256", nil), signHMAC(der, headerText("HS256", "rsa", "JWT"), s.payload(t, nil))} {
			if got, err := s.Verify(t.Context(), s.snap, raw); err == nil {
				t.Errorf("%s: got %+v", name, got)
			}
		}
	}
	s := newSigner(t)
	s.issuer.Issuer = ""
	if _, err := s.Verify(t.Context(), s.snap, s.token(t, "rsa", "RS256", map[string]any{"iss": ""})); err == nil {
		t.Error("an empty issuer is that of an empty iss")
	}
}

// A realm believes its own issuers only, and a token that names another one asks nobody (A-72,
//
func TestNobodyIsAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.issuer.Algorithms = []string{"RS256", "ES256"}
	w.has(t, "first")
	for _, hits := range []string{w.issuer.Issuer + "/", strings.ToUpper(w.issuer.Issuer), "https://evil.example"} {
		payload, err := json.Marshal(map[string]any{"iss": hits, "sub": "u", "exp": w.Now().Add(time.Hour).Unix()})
		if err != nil {
			t.Fatal(err)
		}
		for _, header := range []string{
			headerText("RS256", "unknown", "JWT"), `{"alg":"RS256","kid":"unknown","jku":"` + w.issuer.Issuer + `/jwks"}`,
		} {
			_, err := w.Verify(t.Context(), w.snap, signText(t, rsaKey, "RS256", header, string(payload)))
			refused(t, err)
		}
	}
	// A bad signature by a known key does not fetch either, however often.
	w.advance(time.Hour)
	payload := `{"iss":"` + w.issuer.Issuer + `","sub":"u","exp":4102444800}`
	for range 3 {
		_, err := w.Verify(t.Context(), w.snap, signText(t, otherKey, "RS256", headerText("RS256", "first", "JWT"), payload))
		if e := refused(t, err); e.Why != errSignature.Error() {
			t.Errorf("got %v", e)
		}
	}
	w.expectFetches(t, 1)
	other := uma.NewSnapshot(uma.Realm{Key: 2, Name: "other", Enabled: true}, nil, nil)
	_, err := w.Verify(t.Context(), other, signText(t, rsaKey, "RS256", headerText("RS256", "first", "JWT"), payload))
	refused(t, err)
}

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// tamper changes the payload of a token and leaves its signature.
func tamper(t testing.TB, raw, old, new string) string {
	t.Helper()
	parts := strings.Split(raw, ".")
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || !strings.Contains(string(text), old) {
		t.Fatal("nothing to tamper with")
	}
	parts[1] = b64(strings.Replace(string(text), old, new, 1))
	return strings.Join(parts, ".")
}

// otherBits sets a bit at the end of a signature of 256 bytes that base64 does not use.
func otherBits(raw string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return raw[:len(raw)-1] + string(alphabet[strings.IndexByte(alphabet, raw[len(raw)-1])+1])
}
