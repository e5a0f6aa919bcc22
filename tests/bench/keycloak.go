package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// aKeycloak is a running Keycloak with the photoz realm, warm: it speaks what
// Umpire's scripts say.
func aKeycloak(ctx context.Context, addr string) (*umpire, error) {
	k := &umpire{name: "keycloak", addr: addr}
	if err := k.signIn(); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet,
		"http://"+addr+"/realms/photoz/authz/protection/resource_set?name=Public%20board&exactName=true", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+k.pat)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, &k.ids); err != nil || len(k.ids) != 1 {
		return nil, fmt.Errorf("the photoz realm is not there: %s", raw)
	}
	for _, s := range []script{k.decision(), k.roundTrip()} {
		if _, err := load(ctx, k.contender(k.name, s), 16, 2*time.Second, 10*time.Second); err != nil {
			return nil, err
		}
	}
	return k, nil
}
