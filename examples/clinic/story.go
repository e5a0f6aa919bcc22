package clinic

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"

	"example.com/umpire/examples/walk"
)

// A Story shows how people who are not users of Umpire get access: a doctor opens a file, and proves her licence for a
// sealed one; a nurse shows the doctor's licence and is refused; two APIs show the tokens that were made for them.
type Story struct {
	AS                string // the issuer: http://127.0.0.1:8080/realms/clinic
	Employer, Council string // the issuers that the realm trusts
	Files             string // the resource server
	Lab, Pharmacy     string // the APIs
	Walk              *walk.Walk
}

// Tell makes the requests and prints them with their answers. An unexpected answer is an
// error.
func (s *Story) Tell(ctx context.Context) error {
	err := s.tell(ctx)
	return cmp.Or(s.Walk.Err(), err)
}

func (s *Story) tell(ctx context.Context) error {
	s.Walk.Chapter("Amara, a doctor, signs in at her employer's server. Her app gets a token that is made for Umpire.")
	amara, err := s.signIn(ctx, s.Employer, "amara", "ward-app-7d20", "umpire")
	if err != nil {
		return err
	}
	if err := s.opensFile(ctx, amara); err != nil {
		return err
	}
	licence, err := s.provesLicence(ctx, amara)
	if err != nil {
		return err
	}
	if err := s.nurseIsRefused(ctx, licence); err != nil {
		return err
	}
	return s.apisShowTokens(ctx)
}

// signIn obtains an access token of an issuer.
func (s *Story) signIn(ctx context.Context, issuer, person, client, audience string) (string, error) {
	answer, err := s.Walk.Show(ctx, "POST", issuer+"/token", "", url.Values{"person": {person}, "client_id": {client}, "audience": {audience}})
	if err != nil {
		return "", err
	}
	return answer.Text("access_token"), answer.Want(http.StatusOK)
}

// opensFile is what a person does for a file that is not sealed.
func (s *Story) opensFile(ctx context.Context, token string) error {
	s.Walk.Chapter("She opens a patient's file. The app trades the ticket, with the employer's token: Umpire knows her from now on\n" +
		"as staff/amara. The policy: doctors and nurses read the files of their ward.")
	ticket, err := s.Walk.Challenge(ctx, "GET", s.Files+"/files/weber", "", nil)
	if err != nil {
		return err
	}
	answer, err := s.Walk.Trade(ctx, s.AS, token, url.Values{"ticket": {ticket}}, http.StatusOK)
	if err != nil {
		return err
	}
	return s.reads(ctx, "/files/weber", answer.Text("access_token"))
}

// reads reads a file with an RPT.
func (s *Story) reads(ctx context.Context, path, rpt string) error {
	answer, err := s.Walk.Show(ctx, "GET", s.Files+path, rpt, nil)
	if err != nil {
		return err
	}
	return answer.Want(http.StatusOK)
}

// provesLicence returns the token of the council that opened the sealed file.
func (s *Story) provesLicence(ctx context.Context, token string) (licence string, err error) {
	s.Walk.Chapter("Another file is sealed. The answer is need_info: which claim is wanted, and which issuer may assert it.")
	ticket, err := s.wantsLicence(ctx, token, "")
	if err != nil {
		return "", err
	}
	s.Walk.Chapter("She signs in at the medical council. Its token goes along as a claim token. Both tokens prove one e-mail address,\n" +
		"so that the licence is hers.")
	if licence, err = s.signIn(ctx, s.Council, "amara", "clinic-ward-app", "umpire"); err != nil {
		return "", err
	}
	answer, err := s.Walk.Trade(ctx, s.AS, token, withLicence(ticket, licence), http.StatusOK)
	if err != nil {
		return "", err
	}
	return licence, s.reads(ctx, "/files/stone", answer.Text("access_token"))
}

// wantsLicence asks for the sealed file, and returns the ticket of need_info. licence may be
// empty.
func (s *Story) wantsLicence(ctx context.Context, token, licence string) (ticket string, err error) {
	if ticket, err = s.Walk.Challenge(ctx, "GET", s.Files+"/files/stone", "", nil); err != nil {
		return "", err
	}
	answer, err := s.Walk.Trade(ctx, s.AS, token, withLicence(ticket, licence), http.StatusForbidden)
	if err != nil {
		return "", err
	}
	if got := answer.Text("error"); got != "need_info" {
		return "", fmt.Errorf("the sealed file: want need_info, got %q", got)
	}
	return answer.Text("ticket"), nil
}

func withLicence(ticket, licence string) url.Values {
	form := url.Values{"ticket": {ticket}}
	if licence != "" {
		form.Set("claim_token", licence)
		form.Set("claim_token_format", "urn:ietf:params:oauth:token-type:jwt")
	}
	return form
}

func (s *Story) nurseIsRefused(ctx context.Context, licence string) error {
	s.Walk.Chapter("Noah, a nurse of the ward, has got hold of Amara's token of the council. It is genuine, but not about him:\n" +
		"it is on record as not bound to him, and proves nothing.")
	noah, err := s.signIn(ctx, s.Employer, "noah", "ward-app-7d20", "umpire")
	if err != nil {
		return err
	}
	_, err = s.wantsLicence(ctx, noah, licence)
	return err
}

// apisShowTokens has two APIs ask for decisions with the tokens that they were given.
func (s *Story) apisShowTokens(ctx context.Context) error {
	s.Walk.Chapter("The laboratory's API and the pharmacy's know no tickets. Their callers bring a token that the employer made for\n" +
		"that API; the API shows it to Umpire and asks for a decision. Nurses read results, only doctors prescribe.")
	forLab, err := s.signIn(ctx, s.Employer, "noah", "lab-31c4", "lab-31c4")
	if err != nil {
		return err
	}
	if err := s.calls(ctx, "GET", s.Lab+"/results/weber", forLab, http.StatusOK); err != nil {
		return err
	}
	forPharmacy, err := s.signIn(ctx, s.Employer, "noah", "pharmacy-9be8", "pharmacy-9be8")
	if err != nil {
		return err
	}
	if err := s.calls(ctx, "POST", s.Pharmacy+"/prescriptions/weber", forPharmacy, http.StatusForbidden); err != nil {
		return err
	}
	s.Walk.Chapter("A token that was made for the laboratory is good for nothing at the pharmacy, whoever's it is.")
	if forLab, err = s.signIn(ctx, s.Employer, "amara", "lab-31c4", "lab-31c4"); err != nil {
		return err
	}
	if err := s.calls(ctx, "POST", s.Pharmacy+"/prescriptions/weber", forLab, http.StatusForbidden); err != nil {
		return err
	}
	if forPharmacy, err = s.signIn(ctx, s.Employer, "amara", "pharmacy-9be8", "pharmacy-9be8"); err != nil {
		return err
	}
	return s.calls(ctx, "POST", s.Pharmacy+"/prescriptions/weber", forPharmacy, http.StatusOK)
}

// calls calls an API, and shows the decisions.
func (s *Story) calls(ctx context.Context, method, target, token string, status int) error {
	answer, err := s.Walk.Show(ctx, method, target, token, nil)
	if err != nil {
		return err
	}
	if err := s.Walk.Decisions(ctx); err != nil {
		return err
	}
	return answer.Want(status)
}
