package rows

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"example.com/umpire/uma"
)

// fill sets all fields of a structure to values other than zero, however deep they are.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key)
		fill(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Interface:
		v.Set(reflect.ValueOf(json.Number("7")))
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(0.5)
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(7)
	default:
		v.SetInt(7)
	}
}

// Every setting of a realm is stored, also one that was added since, except for what has columns.
func TestSettingsKeepEverything(t *testing.T) {
	t.Parallel()
	var want uma.Realm
	fill(reflect.ValueOf(&want).Elem())
	text, err := SettingsText(&want)
	if err != nil {
		t.Fatal(err)
	}
	got := uma.Realm{Key: want.Key, Name: want.Name, Generation: want.Generation, Period: want.Period}
	if err := ReadSettings(text, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got and want (%v)\n%+v\n%+v", err, got, want)
	}
	left, err := WithoutIssuer(text, want.Issuers[0].Alias)
	if err != nil {
		t.Fatal(err)
	}
	want.Issuers = nil
	if err := ReadSettings(left, &got); err != nil || len(got.Issuers) > 0 || !reflect.DeepEqual(got.Policy, want.Policy) {
		t.Errorf("without the issuer: got %+v, %v", got, err)
	}
	same, err := WithoutIssuer(text, "other")
	if err != nil || same != text {
		t.Errorf("without another issuer: got %s, %v", same, err)
	}
}

// Settings of earlier versions have no hold of sinks, and issuers without an alias, which had no
// effect.
func TestSettingsOfEarlierVersions(t *testing.T) {
	t.Parallel()
	var r uma.Realm
	if err := ReadSettings(`{"enabled":true,"issuers":[{}]}`, &r); err != nil || !r.Enabled || len(r.Issuers) > 0 || r.SinkHold != uma.DefaultHold {
		t.Errorf("got %+v, %v", r, err)
	}
	if ReadSettings("", &r) == nil || ReadSettings("{", &r) == nil {
		t.Error("damaged settings are read")
	}
}

// Every field of a client is stored that has no column.
func TestDetailsKeepEverything(t *testing.T) {
	t.Parallel()
	var want uma.Client
	fill(reflect.ValueOf(&want).Elem())
	text, err := DetailsText(&want)
	if err != nil {
		t.Fatal(err)
	}
	got := uma.Client{Key: want.Key, ID: want.ID, UUID: want.UUID, Secret: want.Secret, Enabled: want.Enabled, Origin: want.Origin}
	if err := ReadDetails(text, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got and want (%v)\n%+v\n%+v", err, got, want)
	}
	if err := ReadDetails("{}", &got); err != nil || got.JWKS != nil || got.TokenExchange {
		t.Errorf("details of another client stay: %+v, %v", got, err)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	var want uma.FileNames
	fill(reflect.ValueOf(&want).Elem())
	text, err := NamesText(&want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ReadNames(text); err != nil || !reflect.DeepEqual(got, &want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	for name, names := range map[string]*uma.FileNames{"none": nil, "too many": {Roles: []string{strings.Repeat("x", uma.MaxFileNames)}}} {
		text, err := NamesText(names)
		if err != nil || text != "" {
			t.Errorf("%s: got %d bytes, %v", name, len(text), err)
		}
	}
	if got, err := ReadNames(""); got != nil || err != nil {
		t.Errorf("got %v, %v for no names", got, err)
	}
}

// Two users have the same columns if they are the same for decisions.
func TestUserTexts(t *testing.T) {
	t.Parallel()
	u := uma.User{Username: "alice", Enabled: true, Roles: []string{"a"}, Claims: map[string]any{"a": 1, "b": 2}}
	want, err := TextsOf(&u)
	if err != nil || want.Claims != `{"a":1,"b":2}` || want.ClientRoles != "{}" || want.Groups != "[]" {
		t.Errorf("got %+v, %v", want, err)
	}
	u.Password, u.ID = "other", "other"
	if got, err := TextsOf(&u); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	u.Claims = map[string]any{"f": func() {}}
	if _, err := TextsOf(&u); err == nil {
		t.Error("claims that have no JSON are stored")
	}
}
