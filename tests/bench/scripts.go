package main

import (
	"encoding/json"
	"fmt"
	"net/url"

	"example.com/umpire/uma"
)

const (
	tokenPath      = "/realms/photoz/protocol/openid-connect/token"
	permissionPath = "/realms/photoz/authz/protection/permission"
	accountPath    = "/realms/photoz/account/resources"
	form           = "Content-Type: application/x-www-form-urlencoded\r\n"
	umaGrant       = "urn:ietf:params:oauth:grant-type:uma-ticket"
)

// The resource servers of the boards and of the albums.
const (
	ofBoards = "photoz-api"
	ofAlbums = "other-api"
)

// decide sends the UMA grant in decision mode with a bearer, and wants a status.
func decide(c *conn, bearer, server string, params url.Values, status int) error {
	params.Set("grant_type", umaGrant)
	params.Set("audience", server)
	params.Set("response_mode", "decision")
	_, err := c.send("POST", tokenPath, form+"Authorization: Bearer "+bearer+"\r\n", params.Encode(), status)
	return err
}

// view asks for the scope view of a resource.
func view(id uma.ResourceID) url.Values { return url.Values{"permission": {string(id) + "#view"}} }

// decision asks for a decision about one of the boards: the same question as opaServer.ask.
func (u *umpire) decision() script {
	return func(c *conn, caller, turn int) error {
		return decide(c, u.bob, ofBoards, view(u.board(caller, turn)), 200)
	}
}

// sharedDecision asks for a decision about an album that alice shares.
func (u *umpire) sharedDecision() script {
	return func(c *conn, caller, turn int) error {
		return decide(c, u.bob, ofAlbums, view(u.album(caller, turn)), 200)
	}
}

// few is how long pages and answers are: no longer than the smallest database has albums.
const few = 5

// entitlements asks for all that bob may do with albums.
func (u *umpire) entitlements() script {
	return func(c *conn, _, _ int) error {
		return decide(c, u.bob, ofAlbums, url.Values{"response_permissions_limit": {fmt.Sprint(few)}}, 200)
	}
}

// nothing sends the request for a decision to a path that does not exist: what HTTP costs, without
// policy and database.
func (u *umpire) nothing() script {
	headers := form + "Authorization: Bearer " + u.bob + "\r\n"
	return func(c *conn, caller, turn int) error {
		_, err := c.send("POST", "/nothing", headers, view(u.board(caller, turn)).Encode(), 404)
		return err
	}
}

// roundTrip asks for a ticket and trades it for an RPT: two requests.
func (u *umpire) roundTrip() script {
	return func(c *conn, caller, turn int) error { return roundTrip(c, u.signed, u.board(caller, turn)) }
}

func roundTrip(c *conn, t signed, id uma.ResourceID) error {
	raw, err := c.send("POST", permissionPath, "Content-Type: application/json\r\nAuthorization: Bearer "+t.pat+"\r\n",
		`[{"resource_id":"`+string(id)+`","resource_scopes":["view"]}]`, 201)
	if err != nil {
		return err
	}
	var out struct {
		Ticket string `json:"ticket"`
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return err
	}
	_, err = c.send("POST", tokenPath, form+"Authorization: Bearer "+t.bob+"\r\n",
		"grant_type="+url.QueryEscape(umaGrant)+"&ticket="+out.Ticket, 200)
	return err
}

// withdrawAndShare takes a share from carol and gives it back: two requests, after which there are
// as many shares as before.
func (u *umpire) withdrawAndShare() script {
	return func(c *conn, caller, turn int) error { return withdrawAndShare(c, u.signed, u.album(caller, turn)) }
}

func withdrawAndShare(c *conn, t signed, id uma.ResourceID) error {
	headers := "Content-Type: application/json\r\nAuthorization: Bearer " + t.alice + "\r\n"
	for _, scopes := range []string{`"view"`, `"view","comment"`} {
		if _, err := c.send("PUT", accountPath+"/"+string(id)+"/permissions", headers, `[{"username":"carol","scopes":[`+scopes+`]}]`, 204); err != nil {
			return err
		}
	}
	return nil
}

func page(c *conn, token, path string) error {
	_, err := c.send("GET", fmt.Sprintf("%s%s?first=0&max=%d", accountPath, path, few), "Authorization: Bearer "+token+"\r\n", "", 200)
	return err
}

func (u *umpire) sharedPage() script {
	return func(c *conn, _, _ int) error { return page(c, u.alice, "/shared-with-others") }
}

func (u *umpire) receivedPage() script {
	return func(c *conn, _, _ int) error { return page(c, u.bob, "/shared-with-me") }
}
