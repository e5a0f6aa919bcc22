package trust

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"example.com/umpire/strictjson"
)

// fetchTime bounds a fetch: of the discovery document and of the keys.
const fetchTime = 5 * time.Second

var errTooLong = fmt.Errorf("it is longer than %d KiB", maxDocument>>10)

// fetch returns the keys that a source publishes now, and where.
func (s *Service) fetch(ctx context.Context, from *source) (at string, set keySet, err error) {
	if at = from.JWKSURI; at == "" {
		if at, err = s.discover(ctx, from); err != nil {
			return "", keySet{}, err
		}
	}
	text, err := s.get(ctx, from, at)
	if err != nil {
		return at, keySet{}, fmt.Errorf("keys at %s: %w", at, err)
	}
	if set, err = parseKeys(text); err != nil {
		return at, keySet{}, fmt.Errorf("keys at %s: %w", at, err)
	}
	return at, set, nil
}

// discover returns the jwks_uri of an issuer's discovery document (OpenID Connect Discovery 1.0
// §4.3).
func (s *Service) discover(ctx context.Context, from *source) (string, error) {
	at := discoveryURL(from.Issuer)
	text, err := s.get(ctx, from, at)
	if err != nil {
		return "", fmt.Errorf("discovery document %s: %w", at, err)
	}
	issuer, keys, err := parseDiscovery(text)
	switch {
	case err != nil:
		return "", fmt.Errorf("discovery document %s: %w", at, err)
	case issuer != from.Issuer:
		return "", fmt.Errorf("discovery document %s: its issuer is %.200q, not %q", at, issuer, from.Issuer)
	case keys == "":
		return "", fmt.Errorf("discovery document %s: it has no jwks_uri", at)
	}
	return keys, nil
}

// discoveryURL is where an issuer's discovery document is (OpenID Connect Discovery 1.0 §4).
func discoveryURL(issuer string) string {
	return strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration"
}

func parseDiscovery(text []byte) (issuer, keys string, err error) {
	if !json.Valid(text) {
		return "", "", errors.New("it is not JSON")
	}
	r := strictjson.New(string(text))
	if r.Next() != '{' {
		return "", "", errors.New("it is not a JSON object")
	}
	err = r.Object(func(name string) (err error) {
		switch {
		case name == "issuer" && r.Next() == '"':
			issuer, err = r.Text()
		case name == "jwks_uri" && r.Next() == '"':
			keys, err = r.Text()
		default:
			_, err = r.Raw()
		}
		return err
	})
	return issuer, keys, err
}

// get returns the document at a URL.
func (s *Service) get(ctx context.Context, from *source, at string) ([]byte, error) {
	u, err := url.Parse(at)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return nil, errors.New("it is not a URL that can be fetched")
	}
	transport, err := s.Network.transport(ctx, from, u)
	if err != nil {
		return nil, err
	}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, errors.New("it is not a URL that can be fetched")
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "umpire")
	answer, err := transport.RoundTrip(request) // which follows no redirect
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer has status %d, not 200 (redirects are not followed)", answer.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxDocument+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the answer: %w", err)
	case len(text) > maxDocument:
		return nil, errTooLong
	}
	return text, nil
}
