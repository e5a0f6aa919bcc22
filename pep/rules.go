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
	// Without a method ServeMux would match all of them, and a pattern could have a host before the path.
	if r.Method == "" || strings.ContainsAny(r.Method, " \t/") {
		return fmt.Errorf("method %q is not an HTTP method", r.Method)
	}
	if !strings.HasPrefix(r.Path, "/") {
		return fmt.Errorf("path %q does not begin with a slash", r.Path)
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

// router returns a handler that calls serve with the rule that matches a request, and refuse if none does. It is a
// ServeMux, so a request matches, and {name} has the value, as in the application's own ServeMux.
func router(rules []Rule, serve func(http.ResponseWriter, *http.Request, Rule), refuse http.HandlerFunc) (mux *http.ServeMux, err error) {
	defer func() {
		if v := recover(); v != nil { // ServeMux panics if a pattern is bad or ambiguous
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

// plain reports whether the authorization server reads the values of the path's wildcards as the application does. It does
// not for /album/2%2Fcover, which is one segment here and would be two in a URI, nor for /album/*, which is a pattern there.
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

// uri returns the rule's URI with the wildcards' values of a request: plain, as resources have it, and encoded, for the
// look-up. The authorization server decodes it once, and would cut an unencoded value at a semicolon or number sign.
func (r Rule) uri(req *http.Request) (plain, encoded string) {
	fill := func(encode func(string) string) string {
		return wildcard.ReplaceAllStringFunc(r.URI, func(m string) string {
			return encode(req.PathValue(wildcard.FindStringSubmatch(m)[1]))
		})
	}
	segments := func(value string) string { return strings.ReplaceAll(url.PathEscape(value), "%2F", "/") }
	return fill(func(value string) string { return value }), fill(segments)
}
