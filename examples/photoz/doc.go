// Package photoz is a small resource server: an album site that package pep protects. It owns its albums, in memory,
// and what a request means (which resource, which scopes). Who may do what is no business of its: see policies/.
package photoz
