package pep

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// Resource describes a resource to the authorization server, UMA Federated Authorization §3.1.
type Resource struct {
	Name         string              `json:"name"`
	Type         string              `json:"type,omitempty"`
	Owner        string              `json:"owner,omitempty"` // a subject; empty: the resource server itself
	OwnerManaged bool                `json:"ownerManagedAccess"`
	URIs         []string            `json:"uris,omitempty"`
	Scopes       []string            `json:"resource_scopes"`
	Attributes   map[string][]string `json:"attributes,omitempty"`
}

// Register registers a resource at the authorization server and returns its id.
func (e *Enforcer) Register(ctx context.Context, r Resource) (string, error) {
	m, err := e.server.metadata.get(ctx)
	if err != nil {
		return "", fmt.Errorf("register resource: %w", err)
	}
	var answer struct {
		ID string `json:"_id"`
	}
	if err := e.server.protection(ctx, http.MethodPost, m.Resources, r, &answer); err != nil {
		return "", fmt.Errorf("register resource: %w", err)
	}
	if answer.ID == "" {
		return "", errors.New("register resource: no id in the answer")
	}
	return answer.ID, nil
}

// Deregister removes a resource at the authorization server. It is no error if the resource does not exist.
func (e *Enforcer) Deregister(ctx context.Context, id string) error {
	m, err := e.server.metadata.get(ctx)
	if err != nil {
		return fmt.Errorf("deregister resource: %w", err)
	}
	err = e.server.protection(ctx, http.MethodDelete, m.Resources+"/"+url.PathEscape(id), nil, nil)
	if err != nil && status(err) != http.StatusNotFound {
		return fmt.Errorf("deregister resource: %w", err)
	}
	e.server.ids.drop(func(known string) bool { return known == id })
	return nil
}
