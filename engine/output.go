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

// decodeOutput reads what the entry point answered. It takes what
// policies/schemas/output-v1.json takes and nothing else; a test holds the two together.
// Sets count as lists in their order.
func decodeOutput(v ast.Value) (uma.Output, error) {
	doc, ok := v.(ast.Object)
	if !ok {
		return uma.Output{}, errors.New("the decision is no object")
	}
	out := uma.Output{SharesUnknown: true}
	err := members(doc, func(name string, v ast.Value) (err error) {
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
	if err := require(doc, required...); err != nil {
		return uma.Output{}, err
	}
	return out, nil
}

// The members that every decision, wanted claim and obligation has.
var (
	required = []*ast.Term{
		ast.StringTerm("granted"), ast.StringTerm("need_info"), ast.StringTerm("submit"),
		ast.StringTerm("reasons"), ast.StringTerm("obligations"), ast.StringTerm("rpt"),
	}
	requiredOfNeed       = ast.StringTerm("name")
	requiredOfObligation = ast.StringTerm("id")
)

var (
	errUnknownMember = errors.New("no such member")
	errNoString      = errors.New("no string")
	errNoObject      = errors.New("no object")
	errNoList        = errors.New("no list or set")
)

func need(v ast.Value) (n uma.Need, err error) {
	doc, ok := v.(ast.Object)
	if !ok {
		return n, errNoObject
	}
	err = members(doc, func(name string, v ast.Value) (err error) {
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
	if err != nil {
		return n, err
	}
	return n, require(doc, requiredOfNeed)
}

func obligation(v ast.Value) (o uma.Obligation, err error) {
	doc, ok := v.(ast.Object)
	if !ok {
		return o, errNoObject
	}
	err = members(doc, func(name string, v ast.Value) (err error) {
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
	if err != nil {
		return o, err
	}
	return o, require(doc, requiredOfObligation)
}

func properties(v ast.Value) (map[string]any, error) {
	if _, ok := v.(ast.Object); !ok {
		return nil, errNoObject
	}
	plain, err := ast.JSON(v)
	if err != nil {
		return nil, err
	}
	doc, ok := plain.(map[string]any)
	if !ok {
		return nil, errNoObject
	}
	return doc, nil
}

// reserved are names that a permission's claims must not take: a resource server
// could read them as what the token itself says. The first seven are the
// registered claim names of RFC 7519 §4.1.
var reserved = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "roles", "authorization"}

func rptInstructions(v ast.Value) (rpt uma.RPTInstructions, err error) {
	doc, ok := v.(ast.Object)
	if !ok {
		return rpt, errNoObject
	}
	err = members(doc, func(name string, v ast.Value) (err error) {
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

// seconds takes whole numbers from 1. More than an int32 holds (68 years) is as
// good as that.
func seconds(v ast.Value) (int, error) {
	n, ok := v.(ast.Number)
	if !ok {
		return 0, errors.New("no number")
	}
	if i, ok := n.Int64(); ok && i >= 1 {
		return int(min(i, math.MaxInt32)), nil
	}
	r, ok := new(big.Rat).SetString(string(n))
	if !ok || !r.IsInt() || r.Sign() <= 0 {
		return 0, fmt.Errorf("%s is no whole number from 1", n)
	}
	if !r.Num().IsInt64() {
		return math.MaxInt32, nil
	}
	return int(min(r.Num().Int64(), math.MaxInt32)), nil
}

func claims(v ast.Value) (map[string][]string, error) {
	doc, ok := v.(ast.Object)
	if !ok {
		return nil, errNoObject
	}
	claims := make(map[string][]string, doc.Len())
	err := members(doc, func(name string, v ast.Value) (err error) {
		if slices.Contains(reserved, name) {
			return errors.New("the name is taken by the token")
		}
		claims[name], err = listOf(v, str[string])
		return err
	})
	return claims, err
}

// members calls read for each member of an object and says in which one it
// failed.
func members(doc ast.Object, read func(name string, v ast.Value) error) error {
	return doc.Iter(func(k, v *ast.Term) error {
		name, ok := k.Value.(ast.String)
		if !ok {
			return fmt.Errorf("%s: %w", k, errUnknownMember)
		}
		if err := read(string(name), v.Value); err != nil {
			return fmt.Errorf("%s: %w", string(name), err)
		}
		return nil
	})
}

func require(doc ast.Object, names ...*ast.Term) error {
	for _, name := range names {
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
		return nil, errNoList
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
			return nil, fmt.Errorf("%s: twice", elems[i])
		}
	}
	return elems, nil
}

func str[S ~string](v ast.Value) (S, error) {
	s, ok := v.(ast.String)
	if !ok {
		return "", errNoString
	}
	return S(s), nil
}
