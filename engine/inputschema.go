package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"example.com/umpire/place"
	"example.com/umpire/policies"
)

// CheckInput compares a document with the schema of the policy's input
// (policies/schemas/input-v1.json). The error lists every mistake.
func CheckInput(raw []byte) error {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("it is not JSON: %w", err)
	}
	content, err := policies.FS.ReadFile("schemas/input-v1.json")
	if err != nil {
		return err
	}
	var schemaDoc any
	if err := json.Unmarshal(content, &schemaDoc); err != nil {
		return err
	}
	const name = "input-v1.json"
	c := jsonschema.NewCompiler()
	if err := c.AddResource(name, schemaDoc); err != nil {
		return err
	}
	schema, err := c.Compile(name)
	if err != nil {
		return err
	}
	wrong, ok := errors.AsType[*jsonschema.ValidationError](schema.Validate(doc))
	if !ok {
		return nil
	}
	return errors.Join(schemaMistakes(wrong)...)
}

// schemaMistakes are the innermost causes, each with the place in the document.
func schemaMistakes(wrong *jsonschema.ValidationError) (mistakes []error) {
	for _, cause := range wrong.Causes {
		mistakes = append(mistakes, schemaMistakes(cause)...)
	}
	if len(wrong.Causes) == 0 {
		mistakes = append(mistakes, &place.Mistake{Text: wrong.Error()})
	}
	return mistakes
}
