package pep

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
)

var wildcard = regexp.MustCompile(`\{([^{}$.]+)(\.\.\.)?\}`)

func (r Rule) validate() error {
	// without a method the rule would serve all of them, and a pattern may name a host before the path
	if r.Method == "" || strings.ContainsAny(r.Method, " \t/") {
		return fmt.Errorf("method %q: want one", r.Method)
	}
	if !strings.HasPrefix(r.Path, "/") {
		return fmt.Errorf("path %q: want one", r.Path)
	}
	if (r.URI == "") == (r.Resource == nil) {
		return errors.New("set exactly one of URI and Resource")
	}
	for _, m := range wildcard.FindAllStringSubmatch(r.URI, -1) {
		if !strings.Contains(r.Path, "{"+m[1]+"}") && !strings.Contains(r.Path, "{"+m[1]+"...}") {
			return fmt.Errorf("URI %q: {%s} is not in the path", r.URI, m[1])
		}
	}
	if len(r.Scopes) == 0 || slices.Contains(r.Scopes, "") {
		return errors.New("want at least one scope, none empty")
	}
	return nil
}

// router returns a handler that calls serve with the rule whose pattern matches a request, and refuse when none does.
// The handler is a ServeMux, so which rule matches, and {name}, are what the application's own ServeMux would say.
func router(rules []Rule, serve func(http.ResponseWriter, *http.Request, Rule), refuse http.HandlerFunc) (mux *http.ServeMux, err error) {
	defer func() {
		if v := recover(); v != nil { // how ServeMux reports a bad or ambiguous pattern
			err = fmt.Errorf("pep: rules: %v", v)
		}
	}()
	mux = http.NewServeMux()
	mux.HandleFunc("/", refuse)
	for _, rule := range rules {
		mux.HandleFunc(rule.Method+" "+rule.Path, func(w http.ResponseWriter, r *http.Request) {
			if !rule.plain(r) {
				refuse(w, r)
				return
			}
			serve(w, r, rule)
		})
	}
	return mux, nil
}

// plain reports whether the values of the path's wildcards mean to the authorization server what they mean to the
// application: /album/2%2Fcover is one segment here and would be two in a URI, /album/* is no album but a pattern.
func (r Rule) plain(req *http.Request) bool {
	for _, m := range wildcard.FindAllStringSubmatch(r.Path, -1) {
		value, many := req.PathValue(m[1]), m[2] != ""
		if strings.ContainsAny(value, `*{}\`) || !many && strings.Contains(value, "/") {
			return false
		}
		if clean := path.Clean("/" + value); clean != "/"+strings.TrimSuffix(value, "/") {
			return false
		}
	}
	return true
}

// uri returns the template's URI for a request: as a resource has it, and encoded, as the authorization server is asked for
// it. Its look-up decodes once: a value that has a semicolon or a number sign must not be cut there.
func (r Rule) uri(req *http.Request) (plain, encoded string) {
	fill := func(encode func(string) string) string {
		return wildcard.ReplaceAllStringFunc(r.URI, func(m string) string {
			return encode(req.PathValue(wildcard.FindStringSubmatch(m)[1]))
		})
	}
	segments := func(value string) string { return strings.ReplaceAll(url.PathEscape(value), "%2F", "/") }
	return fill(func(value string) string { return value }), fill(segments)
}
