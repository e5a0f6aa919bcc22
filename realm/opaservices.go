package realm

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// readServices reads an object of services, or a list of services with names: OPA takes both.
func (o *opaReader) readServices(v value) any {
	add := func(name string, v value) {
		service := o.readService(v)
		if o.services[name] != nil {
			v.wrong("another service has this name")
		}
		o.services[name], o.at[name] = service, v
	}
	if v.node.Kind != yaml.SequenceNode {
		v.entries(add)
		return o.services
	}
	v.list(func(v value) {
		name := ""
		for i := 0; v.node.Kind == yaml.MappingNode && i+1 < len(v.node.Content); i += 2 {
			if v.node.Content[i].Value == "name" {
				name = v.node.Content[i+1].Value
			}
		}
		if checkText(name) != "" {
			v.wrong("a service in a list needs a name")
			return
		}
		add(name, v)
	})
	return o.services
}

func (o *opaReader) readService(v value) any {
	service, m := v.opaObject(opaFields{
		"name":                            reads(value.text),
		"url":                             reads(serviceURL),
		"headers":                         reads(named(value.opaSecret)),
		"allow_insecure_tls":              reads(value.flag),
		"response_header_timeout_seconds": opaSeconds,
		"tls":                             opaFields{"ca_cert": reads(value.opaPath), "system_ca_required": reads(value.flag)}.read,
		"credentials":                     o.readCredentials,
	})
	m.need("url")
	delete(service, "name") // it is the key
	if service["allow_insecure_tls"] == true {
		m.at("allow_insecure_tls").note("anybody on the way to the service can replace policies and read credentials: name its authority in tls.ca_cert")
	}
	return service
}

func serviceURL(v value) string {
	s := matching(func(s string) bool {
		u, err := url.Parse(s)
		return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" && u.User == nil && !strings.ContainsAny(s, "?#")
	}, "want an absolute http or https URL without user, query and fragment: credentials have a member of their own")(v)
	if u, err := url.Parse(s); err == nil && s != "" && !secure(u) {
		v.note("has no https: anybody on the way to the service can replace policies and read credentials")
	}
	return s
}

func (o *opaReader) readCredentials(v value) any {
	credentials, m := v.opaObject(opaFields{
		"bearer":     readBearer,
		"oauth2":     o.readOAuth2,
		"client_tls": readClientTLS,
		"s3_signing": readS3Signing,
	})
	if len(m.byKey) > 1 {
		v.wrong("want one of %s", strings.Join(slices.Sorted(maps.Keys(m.byKey)), ", "))
	}
	return credentials
}

func readBearer(v value) any {
	bearer, m := v.opaObject(opaFields{"token": reads(value.opaSecret), "token_path": reads(value.opaPath), "scheme": reads(value.text)})
	if m.byKey != nil && m.has("token") == m.has("token_path") {
		v.wrong("want exactly one of token and token_path")
	}
	return bearer
}

func (o *opaReader) readOAuth2(v value) any {
	oauth2, m := v.opaObject(opaFields{
		"grant_type":            reads(oneOf("client_credentials", "jwt_bearer")),
		"token_url":             reads(tokenURL),
		"client_id":             reads(value.text),
		"client_secret":         reads(value.opaSecret),
		"signing_key":           func(v value) any { return o.keyRef(v) },
		"thumbprint":            reads(value.text),
		"additional_claims":     reads(named(value.any)),
		"include_jti_claim":     reads(value.flag),
		"scopes":                reads(each(value.text)),
		"additional_headers":    reads(named(value.opaSecret)),
		"additional_parameters": reads(named(value.opaSecret)),
		"client_assertion_type": reads(value.text),
		"client_assertion":      reads(value.opaSecret),
		"client_assertion_path": reads(value.opaPath),
	})
	m.need("token_url")
	return oauth2
}

// tokenURL reads the URL of a token endpoint, to which OPA sends a secret by https only.
func tokenURL(v value) string {
	return matching(func(s string) bool {
		u, err := url.Parse(s)
		return err == nil && u.Scheme == "https" && u.Hostname() != "" && u.User == nil
	}, "want an absolute https URL")(v)
}

func readClientTLS(v value) any {
	tls, m := v.opaObject(opaFields{
		"cert":                         reads(value.opaPath),
		"private_key":                  reads(value.opaPath),
		"private_key_passphrase":       reads(value.opaSecret),
		"ca_cert":                      reads(value.opaPath),
		"system_ca_required":           reads(value.flag),
		"cert_reread_interval_seconds": opaSeconds,
	})
	m.need("cert", "private_key")
	return tls
}

func readS3Signing(v value) any {
	text, path := reads(value.text), reads(value.opaPath)
	signing, _ := v.opaObject(opaFields{
		"service":                 text,
		"signature_version":       reads(oneOf("4", "4a")),
		"environment_credentials": opaFields{}.read,
		"metadata_credentials":    opaFields{"aws_region": text, "iam_role": text}.read,
		"profile_credentials":     opaFields{"path": path, "profile": text, "aws_region": text}.read,
		"sso_credentials":         opaFields{"path": path, "cache_path": path, "profile": text}.read,
		"web_identity_credentials": opaFields{
			"aws_region": text, "iam_role_arn": text, "web_identity_token_file": path, "session_name": text, "aws_domain": text,
		}.read,
		"assume_role_credentials": opaFields{
			"aws_region": text, "iam_role_arn": text, "session_name": text, "aws_domain": text, "aws_signing": readS3Signing,
		}.read,
	})
	return signing
}

func (o *opaReader) readKeys(v value) any {
	v.entries(func(id string, v value) {
		key, m := v.opaObject(opaFields{
			"key":         func(value) any { return nil }, // after the algorithm
			"private_key": reads(value.opaSecret),
			"algorithm": reads(oneOf("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512",
				"HS256", "HS384", "HS512")),
			"scope": reads(value.text),
		})
		algorithm, named := key["algorithm"].(string)
		if !named {
			algorithm = "RS256"
		}
		if m.has("key") && algorithm != "" {
			key["key"] = m.at("key").verificationKey(algorithm)
		}
		if m.byKey != nil && !m.has("key") && !m.has("private_key") {
			v.wrong("want key, which verifies, or private_key, which signs")
		}
		o.unknown = o.unknown || key["key"] == "" || key["private_key"] == ""
		o.keys[id] = key
	})
	return o.keys
}

// verificationKey reads a secret for HMAC, or else a public key. The file of a public key is
// read also by callers without secrets.
func (v value) verificationKey(algorithm string) string {
	if strings.HasPrefix(algorithm, "HS") {
		return v.opaSecret()
	}
	s, isFile := "", strings.HasPrefix(v.node.Value, "file:")
	if isFile && v.r.getenv == nil {
		var err error
		if s, err = secretFile(v.r.locate(strings.TrimPrefix(v.node.Value, "file:"))); err != nil {
			v.wrong("%s", err)
			return ""
		}
	} else if s = v.opaSecret(); s == "" { // a mistake, or unknown
		return ""
	}
	if err := checkPublicKey(s, algorithm); err != nil {
		v.wrong("%s", err)
	}
	return s
}

// checkPublicKey checks a public key as OPA reads it.
func checkPublicKey(text, algorithm string) error {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return fmt.Errorf("want a public key in PEM for %s", algorithm)
	}
	var key any
	var err error
	switch block.Type {
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "CERTIFICATE":
		var certificate *x509.Certificate
		if certificate, err = x509.ParseCertificate(block.Bytes); err == nil {
			key = certificate.PublicKey
		}
	case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY":
		return errors.New("is a private key: give the public key only")
	default:
		return fmt.Errorf("want a public key in PEM, not %q", block.Type)
	}
	if err != nil {
		return errors.New("is no public key that can be read")
	}
	fits := false
	switch key := key.(type) {
	case *rsa.PublicKey:
		fits = algorithm[0] == 'R' || algorithm[0] == 'P'
	case *ecdsa.PublicKey:
		fits = algorithm == map[int]string{256: "ES256", 384: "ES384", 521: "ES512"}[key.Curve.Params().BitSize]
	}
	if !fits {
		return fmt.Errorf("is no key for %s", algorithm)
	}
	return nil
}
