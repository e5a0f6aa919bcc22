package clinic

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"time"
)

// An issuer stands in for a product that people sign in at. It publishes its key by OpenID Connect Discovery, and makes a
// token for everybody who asks: never use it for anything but an example.
type issuer struct {
	url    string
	key    ed25519.PrivateKey
	now    func() time.Time
	people map[string]map[string]any // what its tokens say of somebody
	mux    *http.ServeMux
}

// Employer returns the server at which the clinic's staff sign in. url is where it is served; now is the time.
func Employer(url string, now func() time.Time) http.Handler {
	return newIssuer(url, now, map[string]map[string]any{
		"amara": {"sub": "e-1001", "preferred_username": "amara", "email": "amara@clinic.example", "groups": []string{"doctors"}, "department": "cardiology"},
		"noah":  {"sub": "e-1002", "preferred_username": "noah", "email": "noah@clinic.example", "groups": []string{"nurses"}, "department": "cardiology"},
	})
}

// Council returns the server of the medical council, which knows physicians.
func Council(url string, now func() time.Time) http.Handler {
	return newIssuer(url, now, map[string]map[string]any{
		"amara": {"sub": "lic-77", "email": "amara@clinic.example", "email_verified": true, "licence": "physician"},
	})
}

func newIssuer(url string, now func() time.Time, people map[string]map[string]any) *issuer {
	_, key, _ := ed25519.GenerateKey(nil) // never fails
	i := &issuer{url: url, key: key, now: now, people: people, mux: http.NewServeMux()}
	i.mux.HandleFunc("GET /.well-known/openid-configuration", i.discovery)
	i.mux.HandleFunc("GET /keys", i.keys)
	i.mux.HandleFunc("POST /token", i.token)
	return i
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) { i.mux.ServeHTTP(w, r) }

func (i *issuer) discovery(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{"issuer": i.url, "jwks_uri": i.url + "/keys"})
}

func (i *issuer) keys(w http.ResponseWriter, _ *http.Request) {
	public := i.key.Public().(ed25519.PublicKey)
	answer(w, http.StatusOK, map[string]any{"keys": []any{map[string]any{
		"kty": "OKP", "crv": "Ed25519", "kid": "1", "alg": "EdDSA", "use": "sig", "x": base64.RawURLEncoding.EncodeToString(public),
	}}})
}

// token makes an access token (RFC 9068) of a person (form value `person`) for an API (`audience`), issued to a client
// (`client_id`). A product would have them sign in.
func (i *issuer) token(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	person, ok := i.people[r.PostFormValue("person")]
	if !ok {
		http.Error(w, "nobody of that name is known here", http.StatusBadRequest)
		return
	}
	now := i.now()
	claims := maps.Clone(person)
	maps.Copy(claims, map[string]any{
		"iss": i.url, "aud": r.PostFormValue("audience"), "azp": r.PostFormValue("client_id"),
		"iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
	})
	answer(w, http.StatusOK, map[string]any{"access_token": i.sign(claims), "token_type": "Bearer", "expires_in": 600})
}

// sign makes a JWS in compact form (RFC 7515 §3.1).
func (i *issuer) sign(claims map[string]any) string {
	payload, _ := json.Marshal(claims) // texts and numbers
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"alg":"EdDSA","kid":"1","typ":"at+jwt"}`)) + "." + encode(payload)
	return signed + "." + encode(ed25519.Sign(i.key, []byte(signed)))
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // it fails only if the client has closed the connection
}
