package clinic

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Laboratory and Pharmacy return the APIs of realm.yaml. as is the issuer: http://127.0.0.1:8080/realms/clinic.
func Laboratory(as string) http.Handler {
	return api{as, "lab-api", "clinic-lab-secret", "Laboratory results#read", map[string]any{"results": []string{"haemoglobin 13.1 g/dl"}}}
}

// Pharmacy is like Laboratory.
func Pharmacy(as string) http.Handler {
	return api{as, "pharmacy-api", "clinic-pharmacy-secret", "Prescriptions#prescribe", map[string]any{"prescribed": true}}
}

// An api is a resource server that knows no tickets: its callers bring a token that the employer's server made for it. It
// shows that token to Umpire as its own client and asks whether the caller has one permission. Umpire takes the token only
// from the API that it was made for.
type api struct {
	as         string
	client     string
	secret     string
	permission string // what callers need: resource#scope
	content    map[string]any
}

// ServeHTTP answers every path.
func (a api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, "a token of the employer for this API is needed", http.StatusUnauthorized)
		return
	}
	granted, why, err := a.ask(r, token)
	switch {
	case err != nil:
		http.Error(w, "the authorization server cannot be asked", http.StatusBadGateway)
	case !granted:
		answer(w, http.StatusForbidden, map[string]any{"error": "forbidden", "umpire": why})
	default:
		answer(w, http.StatusOK, a.content)
	}
}

// ask returns whether the caller has the permission, and otherwise what Umpire answered.
func (a api) ask(r *http.Request, token string) (granted bool, why json.RawMessage, err error) {
	form := url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:uma-ticket"}, "client_id": {a.client}, "client_secret": {a.secret},
		"subject_token": {token}, "audience": {a.client}, "permission": {a.permission}, "response_mode": {"decision"},
	}
	ask, err := http.NewRequestWithContext(r.Context(), http.MethodPost, a.as+"/protocol/openid-connect/token", strings.NewReader(form.Encode()))
	if err != nil {
		return false, nil, err
	}
	ask.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := http.Client{Timeout: 5 * time.Second}
	res, err := client.Do(ask)
	if err != nil {
		return false, nil, err
	}
	defer func() { _ = res.Body.Close() }() // ReadAll has the errors
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return false, nil, err
	}
	var decision struct {
		Result bool `json:"result"`
	}
	err = json.Unmarshal(body, &decision)
	return err == nil && res.StatusCode == http.StatusOK && decision.Result, body, err
}
