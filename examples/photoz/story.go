package photoz

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"example.com/umpire/examples/walk"
)

// A Story shows the HTTP exchanges of a UMA flow: a friend views an album, asks the owner
// for more, gets it, and is refused what only the owner may do.
type Story struct {
	AS   string // the issuer: http://127.0.0.1:8080/realms/photoz
	Site string // the resource server: http://127.0.0.1:3001
	Walk *walk.Walk

	owner, friend string // access tokens
}

// Tell makes the requests and prints them with their answers. An unexpected answer is an
// error.
func (s *Story) Tell(ctx context.Context) error {
	err := s.tell(ctx)
	return cmp.Or(s.Walk.Err(), err)
}

func (s *Story) tell(ctx context.Context) error {
	var err error
	if s.friend, err = s.signIn(ctx, "bob", "photoz-web", ""); err != nil {
		return err
	}
	if s.owner, err = s.signIn(ctx, "alice", "photoz-api", "photoz-api-secret"); err != nil {
		return err
	}
	rpt, err := s.friendViews(ctx)
	if err != nil {
		return err
	}
	if err := s.friendAsks(ctx, rpt); err != nil {
		return err
	}
	if err := s.ownerApproves(ctx); err != nil {
		return err
	}
	if err := s.friendComments(ctx, rpt); err != nil {
		return err
	}
	return s.nobodyElseDeletes(ctx)
}

// signIn obtains an access token by the password grant, because there is no browser here.
func (s *Story) signIn(ctx context.Context, user, client, secret string) (string, error) {
	form := url.Values{"grant_type": {"password"}, "client_id": {client}, "username": {user}, "password": {user}}
	if secret != "" {
		form.Set("client_secret", secret)
	}
	answer, err := walk.Call(ctx, "POST", s.AS+"/protocol/openid-connect/token", "", form)
	if err != nil {
		return "", err
	}
	return answer.Text("access_token"), answer.Want(http.StatusOK)
}

func (s *Story) friendViews(ctx context.Context) (rpt string, err error) {
	s.Walk.Chapter("Bob opens Alice's album. Without a token the site sends him to the authorization server, with a ticket.")
	ticket, err := s.Walk.Challenge(ctx, "GET", s.Site+"/album/1", "", nil)
	if err != nil {
		return "", err
	}
	s.Walk.Chapter("He trades the ticket for a requesting party token. The policy: friends view the albums that are for friends.")
	answer, err := s.Walk.Trade(ctx, s.AS, s.friend, url.Values{"ticket": {ticket}}, http.StatusOK)
	if err != nil {
		return "", err
	}
	rpt = answer.Text("access_token")
	s.Walk.Chapter("With the RPT the site lets him in.")
	answer, err = s.Walk.Show(ctx, "GET", s.Site+"/album/1", rpt, nil)
	if err != nil {
		return "", err
	}
	return rpt, answer.Want(http.StatusOK)
}

func (s *Story) friendAsks(ctx context.Context, rpt string) error {
	s.Walk.Chapter("He writes a comment. The RPT is not good for that: a new ticket, and this time he is refused. Alice is asked.")
	ticket, err := s.Walk.Challenge(ctx, "POST", s.Site+"/album/1/comments", rpt, map[string]any{"text": "Lovely!"})
	if err != nil {
		return err
	}
	_, err = s.Walk.Trade(ctx, s.AS, s.friend, url.Values{"ticket": {ticket}, "rpt": {rpt}}, http.StatusForbidden)
	return err
}

func (s *Story) ownerApproves(ctx context.Context) error {
	s.Walk.Chapter("Alice finds his request, and approves.")
	requests := s.AS + "/authz/protection/permission/ticket"
	answer, err := s.Walk.Show(ctx, "GET", requests+"?granted=false&returnNames=true", s.owner, nil)
	if err != nil {
		return err
	}
	var pending []map[string]any
	if err := json.Unmarshal(answer.Body, &pending); err != nil || len(pending) != 1 {
		return fmt.Errorf("want one pending request, got %s", answer.Body)
	}
	pending[0]["granted"] = true
	answer, err = s.Walk.Show(ctx, "PUT", requests, s.owner, pending[0])
	if err != nil {
		return err
	}
	return answer.Want(http.StatusNoContent)
}

func (s *Story) friendComments(ctx context.Context, rpt string) error {
	s.Walk.Chapter("Bob tries again, and sends the RPT he has: the new one holds both (incremental authorization).")
	ticket, err := s.Walk.Challenge(ctx, "POST", s.Site+"/album/1/comments", rpt, map[string]any{"text": "Lovely!"})
	if err != nil {
		return err
	}
	answer, err := s.Walk.Trade(ctx, s.AS, s.friend, url.Values{"ticket": {ticket}, "rpt": {rpt}}, http.StatusOK)
	if err != nil {
		return err
	}
	answer, err = s.Walk.Show(ctx, "POST", s.Site+"/album/1/comments", answer.Text("access_token"), map[string]any{"text": "Lovely!"})
	if err != nil {
		return err
	}
	return answer.Want(http.StatusCreated)
}

func (s *Story) nobodyElseDeletes(ctx context.Context) error {
	s.Walk.Chapter("Deleting is for Alice alone: whatever she shares, the policy denies it, and she is not even asked.")
	ticket, err := s.Walk.Challenge(ctx, "DELETE", s.Site+"/album/1", "", nil)
	if err != nil {
		return err
	}
	_, err = s.Walk.Trade(ctx, s.AS, s.friend, url.Values{"ticket": {ticket}}, http.StatusForbidden)
	return err
}
