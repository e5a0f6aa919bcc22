// Package photoz is a small resource server: a site of albums, protected by package pep. It keeps the albums in memory and
// says which resource and scopes a request needs. The policies in policies/ decide who may do what.
package photoz
