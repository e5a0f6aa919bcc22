package engine

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"example.com/umpire/uma"
)

// decodeOutput reads the answer of the entry point. It accepts the documents that
// policies/schemas/output-v1.json accepts, and a set where the schema has a list; a test
// compares the two.
func decodeOutput(v ast.Value) (uma.Output, error) {
	out := uma.Output{SharesUnknown: true}
	err := members(v, required, func(name string, v ast.Value) (err error) {
		switch name {
		case "granted":
			out.Granted, err = distinct[uma.Scope](v)
		case "need_info":
			out.NeedInfo, err = listOf(v, need)
		case "submit":
			out.Submit, err = distinct[uma.Scope](v)
		case "reasons":
			out.Reasons, err = listOf(v, str[string])
		case "obligations":
			out.Obligations, err = listOf(v, obligation)
		case "rests_on":
			out.RestsOn, err = distinct[string](v)
			out.SharesUnknown = false
		case "rpt":
			out.RPT, err = rptInstructions(v)
		default:
			err = errUnknownMember
		}
		return err
	})
	if err != nil {
		return uma.Output{}, err
	}
	return out, nil
}

// The members that each decision, each wanted claim and each obligation must have.
var (
	required = []*ast.Term{
		ast.StringTerm("granted"), ast.StringTerm("need_info"), ast.StringTerm("submit"),
		ast.StringTerm("reasons"), ast.StringTerm("obligations"), ast.StringTerm("rpt"),
	}
	requiredOfNeed       = []*ast.Term{ast.StringTerm("name")}
	requiredOfObligation = []*ast.Term{ast.StringTerm("id")}
)

var (
	errUnknownMember = errors.New("unknown member")
	errNotString     = errors.New("not a string")
	errNotObject     = errors.New("not an object")
	errNotList       = errors.New("not a list or set")
)

func need(v ast.Value) (n uma.Need, err error) {
	err = members(v, requiredOfNeed, func(name string, v ast.Value) (err error) {
		switch name {
		case "name":
			n.Name, err = str[string](v)
		case "friendly_name":
			n.FriendlyName, err = str[string](v)
		case "claim_type":
			n.Type, err = str[string](v)
		case "claim_token_format":
			n.Formats, err = listOf(v, str[string])
		case "issuer":
			n.Issuers, err = listOf(v, str[string])
		case "scopes":
			n.Scopes, err = listOf(v, str[uma.Scope])
		case "redirect":
			var page string
			page, err = str[string](v)
			n.Redirect = &page
		default:
			err = errUnknownMember
		}
		return err
	})
	return n, err
}

func obligation(v ast.Value) (o uma.Obligation, err error) {
	err = members(v, requiredOfObligation, func(name string, v ast.Value) (err error) {
		switch name {
		case "id":
			o.ID, err = str[string](v)
		case "type":
			o.Type, err = str[string](v)
		case "properties":
			o.Properties, err = properties(v)
		default:
			err = errUnknownMember
		}
		return err
	})
	return o, err
}

func properties(v ast.Value) (map[string]any, error) {
	if _, ok := v.(ast.Object); !ok {
		return nil, errNotObject
	}
	plain, err := ast.JSON(v)
	if err != nil {
		return nil, err
	}
	doc, ok := plain.(map[string]any)
	if !ok {
		return nil, errNotObject
	}
	return doc, nil
}

// reserved are names that a permission's claims must not have: a resource server could
// take such a claim for the token's own. The first seven are the registered claim names
// of RFC 7519 §4.1.
var reserved = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "roles", "authorization"}

func rptInstructions(v ast.Value) (rpt uma.RPTInstructions, err error) {
	err = members(v, nil, func(name string, v ast.Value) (err error) {
		switch name {
		case "ttl":
			rpt.TTL, err = seconds(v)
		case "claims":
			rpt.Claims, err = claims(v)
		default:
			err = errUnknownMember
		}
		return err
	})
	return rpt, err
}

// seconds accepts whole numbers from 1. The largest int32 (68 years) stands for all larger
// ones.
func seconds(v ast.Value) (int, error) {
	n, ok := v.(ast.Number)
	if !ok {
		return 0, errors.New("not a number")
	}
	if i, ok := n.Int64(); ok && i >= 1 {
		return int(min(i, math.MaxInt32)), nil
	}
	r, ok := new(big.Rat).SetString(string(n))
	if !ok || !r.IsInt() || r.Sign() <= 0 {
		return 0, fmt.Errorf("%s is not a whole number from 1", n)
	}
	if !r.Num().IsInt64() {
		return math.MaxInt32, nil
	}
	return int(min(r.Num().Int64(), math.MaxInt32)), nil
}

func claims(v ast.Value) (map[string][]string, error) {
	claims := make(map[string][]string)
	err := members(v, nil, func(name string, v ast.Value) (err error) {
		if slices.Contains(reserved, name) {
			return errors.New("the token itself has a claim of this name")
		}
		claims[name], err = listOf(v, str[string])
		return err
	})
	return claims, err
}

// members calls read for each member of an object. Its error names the member that is
// wrong or that the object lacks.
func members(v ast.Value, required []*ast.Term, read func(name string, v ast.Value) error) error {
	doc, ok := v.(ast.Object)
	if !ok {
		return errNotObject
	}
	err := doc.Iter(func(k, v *ast.Term) error {
		name, ok := k.Value.(ast.String)
		if !ok {
			return fmt.Errorf("%s: %w", k, errUnknownMember)
		}
		if err := read(string(name), v.Value); err != nil {
			return fmt.Errorf("%s: %w", string(name), err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, name := range required {
		if doc.Get(name) == nil {
			return fmt.Errorf("%s: missing", string(name.Value.(ast.String)))
		}
	}
	return nil
}

func listOf[T any](v ast.Value, read func(ast.Value) (T, error)) ([]T, error) {
	var array *ast.Array
	switch v := v.(type) {
	case ast.Set:
		if v.Len() == 0 { // as most are
			return []T{}, nil
		}
		array = v.Sorted()
	case *ast.Array:
		array = v
	default:
		return nil, errNotList
	}
	elems := make([]T, array.Len())
	for i := range elems {
		elem, err := read(array.Elem(i).Value)
		if err != nil {
			return nil, fmt.Errorf("%d: %w", i, err)
		}
		elems[i] = elem
	}
	return elems, nil
}

func distinct[S ~string](v ast.Value) ([]S, error) {
	elems, err := listOf(v, str[S])
	if err != nil {
		return nil, err
	}
	if _, isSet := v.(ast.Set); isSet {
		return elems, nil
	}
	for i := range elems {
		if slices.Contains(elems[:i], elems[i]) {
			return nil, fmt.Errorf("%s is there twice", elems[i])
		}
	}
	return elems, nil
}

func str[S ~string](v ast.Value) (S, error) {
	s, ok := v.(ast.String)
	if !ok {
		return "", errNotString
	}
	return S(s), nil
}
