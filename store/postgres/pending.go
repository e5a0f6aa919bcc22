package postgres

import (
	"encoding/json"
	"errors"
	"strings"

	"example.com/umpire/uma"
)

// Until store/rows has them: replaced by rows.DocumentText, rows.ReadDocument and the ring of recent records.

func documentText(v any) (string, error) {
	b, err := json.Marshal(v)
	if string(b) == "null" {
		return "{}", err
	}
	return string(b), err
}

func readDocument(text string, into any) error {
	if text == "" || text == "{}" || text == "null" {
		return nil
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	return dec.Decode(into)
}

type recentRecords struct{}

func (recentRecords) Add([]uma.Record) {}

func createRequest(tx *conn, q *uma.Request) error { return errors.New("not ported") }

func dropRPT(tx *conn, realm uma.Key, jti string) error { return errors.New("not ported") }
