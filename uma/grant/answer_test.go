package grant

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"example.com/umpire/uma"
	"example.com/umpire/uma/umatest"
)

// A line is one permission of a case below, in words:
//
//	of      ticket, whole (of a ticket, without scopes) or named (a resource), found (by scope or type, or among everything) or carried (by an RPT)
//	asks    the scopes requested; "" for a resource without scopes
//	gets    the scopes granted; "itself" for a resource without scopes
//	also    scopes that only the RPT carries, of a resource that is requested as well
//	wants   the claim that the policy wants
//	submits the scopes that the owner is to be asked for
type line struct{ of, asks, gets, also, wants, submits string }

func (l line) decision() *decision {
	d := &decision{permission: &permission{
		resource: &uma.Resource{ID: "r"}, requested: l.of != "carried", carried: l.of == "carried" || l.also != "",
		named: l.of == "named" || l.of == "ticket" || l.of == "whole", scopes: umatest.ScopesOf(l.asks + " " + l.also),
	}}
	if d.requested {
		d.asked = umatest.ScopesOf(l.asks)
	}
	if l.of == "ticket" {
		d.listed = d.asked
	}
	if l.gets == "itself" {
		d.whole = true
	} else {
		d.granted = umatest.ScopesOf(l.gets)
	}
	if l.wants != "" {
		d.needs = []uma.Need{{RequiredClaim: uma.RequiredClaim{Name: l.wants}}}
	}
	d.submit = umatest.ScopesOf(l.submits)
	return d
}

// The verdicts, as the cases name them.
var verdicts = map[verdict]string{refused: "refused", grant: "granted", needInfo: "need_info", submitted: "submitted"}

// Each sentence of docs/design.md, "The answer", is a group of cases. What a
// refusal is called, denied with a ticket and not authorized without, is for
// TestWordsOfARefusal.
func TestAnswer(t *testing.T) {
	t.Parallel()
	// A request may be: with a ticket; with submit_request=false; with an RPT; to
	// a realm that grants all or nothing.
	const (
		plain  = ""
		ticket = "ticket"
		quiet  = "ticket submit_request=false"
		rpt    = "rpt"
		both   = "ticket rpt"
		all    = "all_or_nothing"
		allT   = "all_or_nothing ticket"
		legacy = "legacy ticket"
	)
	tests := []struct {
		name    string
		request string
		lines   []line
		want    string
	}{
		// With partial, anything requested that was granted makes an RPT.
		{"all of one", plain, []line{{of: "named", asks: "view", gets: "view"}}, "granted"},
		{"some of one", plain, []line{{of: "named", asks: "view edit", gets: "view"}}, "granted"},
		{"one of two", plain, []line{{of: "named", asks: "view", gets: "view"}, {of: "named", asks: "view"}}, "granted"},
		{"none", plain, []line{{of: "named", asks: "view"}}, "refused"},
		{"nothing asked", plain, nil, "refused"},
		{"a resource without scopes", plain, []line{{of: "named", gets: "itself"}}, "granted"},
		{"a resource without scopes, refused", plain, []line{{of: "named"}}, "refused"},
		{"something of a search", plain, []line{{of: "found", asks: "view"}, {of: "found", asks: "view", gets: "view"}}, "granted"},
		{"some, with a ticket", ticket, []line{{of: "ticket", asks: "view edit", gets: "view"}}, "granted"},
		{"some, while the owner is asked for the rest", ticket, []line{{of: "ticket", asks: "view edit", gets: "view", submits: "edit"}}, "granted"},
		{"some, while claims are wanted for the rest", ticket, []line{{of: "ticket", asks: "view edit", gets: "view", wants: "email"}}, "granted"},
		{"only what is carried", plain, []line{{of: "named", asks: "view"}, {of: "carried", also: "view", gets: "view"}}, "refused"},
		{"only the carried scope of what is requested", plain, []line{{of: "named", asks: "edit", also: "view", gets: "view"}}, "refused"},
		{
			"only the carried scope, borrowed from the type, of a resource that was requested whole", plain,
			[]line{{of: "named", also: "view"}}, "refused",
		},
		{"any scope will do for a resource that was requested whole", rpt, []line{{of: "named", also: "view", gets: "view"}}, "granted"},

		// With an RPT, each requested resource must have got a scope, or itself.
		{"rpt: all", rpt, []line{{of: "named", asks: "view", gets: "view"}}, "granted"},
		{"rpt: a scope", rpt, []line{{of: "named", asks: "view edit", gets: "edit"}}, "granted"},
		{"rpt: itself", rpt, []line{{of: "named", gets: "itself"}}, "granted"},
		{"rpt: not itself", rpt, []line{{of: "named"}, {of: "named", asks: "view", gets: "view"}}, "refused"},
		{"rpt: one of two resources", rpt, []line{{of: "named", asks: "view", gets: "view"}, {of: "named", asks: "view"}}, "refused"},
		{"rpt: only the carried scope", rpt, []line{{of: "named", asks: "edit", also: "view", gets: "view"}}, "refused"},
		{"rpt: a carried one lost", rpt, []line{{of: "named", asks: "view", gets: "view"}, {of: "carried", also: "view"}}, "granted"},
		{"rpt: a scope alone counts as granted", rpt, []line{{of: "found", asks: "download"}, {of: "named", asks: "view", gets: "view"}}, "granted"},
		{"rpt alone: what it carries", rpt, []line{{of: "found", asks: "view", gets: "view"}}, "granted"},
		{"rpt alone: one of what it carries is lost", rpt, []line{{of: "found", asks: "view", gets: "view"}, {of: "found", asks: "edit"}}, "granted"},
		{"rpt alone: all of it lost", rpt, []line{{of: "found", asks: "view"}}, "refused"},

		// With an RPT and a ticket, every scope it asked for.
		{"rpt and ticket: all", both, []line{{of: "ticket", asks: "view edit", gets: "view edit"}}, "granted"},
		{"rpt and ticket: some", both, []line{{of: "ticket", asks: "view edit", gets: "view"}}, "refused"},
		{"rpt and ticket: itself", both, []line{{of: "ticket", gets: "itself"}}, "granted"},
		{"rpt and ticket: not itself", both, []line{{of: "ticket"}, {of: "ticket", asks: "view", gets: "view"}}, "refused"},
		{"rpt and ticket: one of two", both, []line{{of: "ticket", asks: "view", gets: "view"}, {of: "ticket", asks: "view"}}, "refused"},
		{"rpt and ticket: all, a carried one lost", both, []line{{of: "ticket", asks: "view", gets: "view"}, {of: "carried", also: "view"}}, "granted"},
		{"rpt and ticket: all, a carried scope lost", both, []line{{of: "ticket", asks: "edit", also: "view", gets: "edit"}}, "granted"},
		{"rpt and ticket: any scope will do of what is asked for without", both, []line{{of: "whole", asks: "view edit", gets: "view"}}, "granted"},
		{"rpt and ticket: none of what is asked for without", both, []line{{of: "whole", asks: "view edit"}}, "refused"},
		{"rpt: something came to nothing", rpt + ", and something unmet", []line{{of: "named", asks: "view", gets: "view"}}, "refused"},
		{"rpt: a scope that is not there", rpt + ", and a scope unmet", []line{{of: "named", asks: "view", gets: "view"}}, "granted"},
		{"rpt and ticket: a scope that is not there", both + ", and a scope unmet", []line{{of: "ticket", asks: "view", gets: "view"}}, "refused"},
		{"something came to nothing", plain + ", and something unmet", []line{{of: "named", asks: "view", gets: "view"}}, "granted"},
		{"all or nothing: something came to nothing", all + ", and something unmet", []line{{of: "named", asks: "view", gets: "view"}}, "refused"},
		{"all or nothing: a scope that is not there", all + ", and a scope unmet", []line{{of: "named", asks: "view", gets: "view"}}, "refused"},
		{"rpt and ticket: scopes alone, found in one place of two", both, []line{{of: "found", asks: "view", gets: "view"}, {of: "found", asks: "view"}}, "granted"},
		{"rpt and ticket: some, owner to be asked", both, []line{{of: "ticket", asks: "view edit", gets: "view", submits: "edit"}}, "submitted"},

		// With all_or_nothing, anything missing of what names a resource, or of the ticket, is a refusal.
		{"all or nothing: all", all, []line{{of: "named", asks: "view edit", gets: "view edit"}}, "granted"},
		{"all or nothing: some", all, []line{{of: "named", asks: "view edit", gets: "view"}}, "refused"},
		{"all or nothing: one of two", all, []line{{of: "named", asks: "view", gets: "view"}, {of: "named", asks: "view"}}, "refused"},
		{"all or nothing: itself", all, []line{{of: "named", gets: "itself"}}, "granted"},
		{"all or nothing: not itself", all, []line{{of: "named"}, {of: "named", asks: "view", gets: "view"}}, "refused"},
		{
			"all or nothing: not itself, nor the scope that is carried on it", all,
			[]line{{of: "named", also: "view"}, {of: "named", asks: "view", gets: "view"}}, "refused",
		},
		{"all or nothing: a carried one lost", all, []line{{of: "named", asks: "view", gets: "view"}, {of: "carried", also: "edit"}}, "granted"},
		{"all or nothing: all of the ticket", allT, []line{{of: "ticket", asks: "view edit", gets: "view edit"}}, "granted"},
		{"all or nothing: some of the ticket", allT, []line{{of: "ticket", asks: "view edit", gets: "view"}}, "refused"},
		{"all or nothing: one of two of the ticket", allT, []line{{of: "ticket", asks: "view", gets: "view"}, {of: "ticket", asks: "edit"}}, "refused"},
		{"all or nothing: some of the ticket, owner to be asked", allT, []line{{of: "ticket", asks: "view edit", gets: "view", submits: "edit"}}, "submitted"},
		{"all or nothing: scopes alone of the ticket, found in one place of two", allT, []line{{of: "found", asks: "view", gets: "view"}, {of: "found", asks: "view"}}, "refused"},
		{"all or nothing: scope, type and all-entitlements requests stay partial", all, []line{{of: "found", asks: "view", gets: "view"}, {of: "found", asks: "view"}}, "granted"},
		{"all or nothing: nothing of a search", all, []line{{of: "found", asks: "view"}}, "refused"},

		// In the legacy API what was carried is as good as what is requested.
		{"legacy: only what is carried", legacy, []line{{of: "ticket", asks: "view"}, {of: "carried", also: "view", gets: "view"}}, "granted"},
		{"legacy: only the carried scope of what is requested", legacy, []line{{of: "ticket", asks: "edit", also: "view", gets: "view"}}, "granted"},
		{"legacy: a carried one lost", legacy, []line{{of: "ticket", asks: "view", gets: "view"}, {of: "carried", also: "view"}}, "granted"},
		{"legacy: all lost", legacy, []line{{of: "ticket", asks: "view"}, {of: "carried", also: "view"}}, "refused"},
		{"legacy: nothing asked, something carried", legacy, []line{{of: "carried", also: "view", gets: "view"}}, "granted"},

		// A refusal with a ticket is need_info if any permission wants claims,
		// else submitted if a request was stored or is pending, else denied.
		{"denied", ticket, []line{{of: "ticket", asks: "view"}}, "refused"},
		{"claims wanted", ticket, []line{{of: "ticket", asks: "view", wants: "email"}}, "need_info"},
		{"owner to be asked", ticket, []line{{of: "ticket", asks: "view", submits: "view"}}, "submitted"},
		{"owner to be asked for a resource without scopes", ticket, []line{{of: "ticket", submits: "*"}}, "submitted"},
		{"both on one: claims first", ticket, []line{{of: "ticket", asks: "view edit", wants: "email", submits: "edit"}}, "need_info"},
		{"both, the owner's first in order: claims first", ticket, []line{{of: "ticket", asks: "view", submits: "view"}, {of: "ticket", asks: "view", wants: "email"}}, "need_info"},
		{"one denied, one wants claims", ticket, []line{{of: "ticket", asks: "view"}, {of: "ticket", asks: "view", wants: "email"}}, "need_info"},
		{"one denied, one for its owner", ticket, []line{{of: "ticket", asks: "view"}, {of: "ticket", asks: "view", submits: "view"}}, "submitted"},
		{"a carried one wants claims", ticket, []line{{of: "ticket", asks: "view"}, {of: "carried", also: "edit", wants: "email"}}, "need_info"},

		// Submitting is allowed with a ticket, and not with submit_request=false.
		{"submit_request=false", quiet, []line{{of: "ticket", asks: "view", submits: "view"}}, "refused"},
		{"submit_request=false, claims wanted", quiet, []line{{of: "ticket", asks: "view", submits: "view", wants: "email"}}, "need_info"},
		{"submit_request=false, some granted", quiet, []line{{of: "ticket", asks: "view edit", gets: "view", submits: "edit"}}, "granted"},

		// Without a ticket what was wanted is in the record only.
		{"no ticket, claims wanted", plain, []line{{of: "named", asks: "view", wants: "email"}}, "refused"},
		{"no ticket, owner to be asked", plain, []line{{of: "named", asks: "view", submits: "view"}}, "refused"},
		{"no ticket but an rpt, claims wanted", rpt, []line{{of: "named", asks: "view", wants: "email"}}, "refused"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := conditions{
				ticket:       strings.Contains(tc.request, "ticket"),
				upgrade:      strings.Contains(tc.request, "rpt"),
				carried:      strings.Contains(tc.request, "legacy"),
				allOrNothing: strings.Contains(tc.request, "all_or_nothing"),
				unmet: unmet{
					resource: strings.Contains(tc.request, "something unmet"), scope: strings.Contains(tc.request, "a scope unmet"),
				},
			}
			c.submit = c.ticket && !strings.Contains(tc.request, "submit_request=false")
			var decisions []*decision
			for _, l := range tc.lines {
				decisions = append(decisions, l.decision())
			}
			if got := verdicts[judge(decisions, c)]; got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// Whatever the policy says and however the request is made: no RPT without
// something requested that was granted, no answer but a plain refusal without a
// ticket, and less granted never turns a refusal into an RPT.
func TestAnswerNeverGrantsForNothing(t *testing.T) {
	t.Parallel()
	words := rapid.SliceOfDistinct(rapid.SampledFrom([]string{"view", "edit", "delete"}), rapid.ID[string])
	some := rapid.Custom(func(t *rapid.T) line {
		l := line{of: rapid.SampledFrom([]string{"ticket", "named", "found", "carried"}).Draw(t, "of")}
		asks := words.Draw(t, "asks")
		l.asks = strings.Join(asks, " ")
		if l.of == "carried" {
			l.asks, l.also = "", l.asks
		}
		if len(asks) == 0 {
			l.gets = rapid.SampledFrom([]string{"", "itself"}).Draw(t, "gets")
		} else {
			l.gets = strings.Join(rapid.SliceOfDistinct(rapid.SampledFrom(asks), rapid.ID[string]).Draw(t, "gets"), " ")
		}
		l.wants = rapid.SampledFrom([]string{"", "email"}).Draw(t, "wants")
		l.submits = rapid.SampledFrom([]string{"", "view"}).Draw(t, "submits")
		return l
	})
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(some, 0, 4).Draw(t, "lines")
		c := conditions{
			ticket: rapid.Bool().Draw(t, "ticket"), upgrade: rapid.Bool().Draw(t, "upgrade"),
			allOrNothing: rapid.Bool().Draw(t, "all or nothing"),
		}
		c.submit = c.ticket && rapid.Bool().Draw(t, "submit")
		var decisions, fewer []*decision
		something := false
		for _, l := range lines {
			decisions = append(decisions, l.decision())
			something = something || l.of != "carried" && l.gets != ""
			if rapid.Bool().Draw(t, "take away") {
				l.gets = ""
			}
			fewer = append(fewer, l.decision())
		}
		got := judge(decisions, c)
		if got == grant && !something {
			t.Errorf("granted though nothing that was requested is")
		}
		if !c.ticket && (got == needInfo || got == submitted) {
			t.Errorf("%s without a ticket", verdicts[got])
		}
		if got == submitted && !c.submit {
			t.Error("submitted though it is not allowed")
		}
		if got != grant && judge(fewer, c) == grant {
			t.Error("less granted makes an RPT where more did not")
		}
	})
}

// Every permission of the former RPT must be contained: the same resource, and
// both without scopes or with one in common (reference of §1.7 of Keycloak).
func TestUpgraded(t *testing.T) {
	t.Parallel()
	was := func(id, scopes string) uma.GrantedPermission {
		return uma.GrantedPermission{ID: uma.ResourceID(id), Scopes: umatest.ScopesOf(scopes)}
	}
	is := func(id, scopes string) uma.Grant {
		return uma.Grant{Resource: uma.ResourceID(id), Scopes: umatest.ScopesOf(scopes)}
	}
	tests := []struct {
		name   string
		former []uma.GrantedPermission
		now    []uma.Grant
		want   bool
	}{
		{"the same", []uma.GrantedPermission{was("a", "view")}, []uma.Grant{is("a", "view")}, true},
		{"more scopes", []uma.GrantedPermission{was("a", "view")}, []uma.Grant{is("a", "edit view")}, true},
		{"another beside it", []uma.GrantedPermission{was("a", "view")}, []uma.Grant{is("b", "x"), is("a", "view")}, true},
		{"a scope in common", []uma.GrantedPermission{was("a", "view edit")}, []uma.Grant{is("a", "edit")}, true},
		{"no scope in common", []uma.GrantedPermission{was("a", "view")}, []uma.Grant{is("a", "edit")}, false},
		{"gone", []uma.GrantedPermission{was("a", "view")}, []uma.Grant{is("b", "view")}, false},
		{"one of two gone", []uma.GrantedPermission{was("a", "view"), was("b", "view")}, []uma.Grant{is("a", "view")}, false},
		{"nothing now", []uma.GrantedPermission{was("a", "view")}, nil, false},
		{"without scopes, both", []uma.GrantedPermission{was("a", "")}, []uma.Grant{is("a", "")}, true},
		{"had scopes, has none", []uma.GrantedPermission{was("a", "view")}, []uma.Grant{is("a", "")}, false},
		{"had none, has scopes", []uma.GrantedPermission{was("a", "")}, []uma.Grant{is("a", "view")}, false},
		{"a scope alone", []uma.GrantedPermission{was("", "download")}, []uma.Grant{is("", "download")}, true},
		{"a scope alone is not that of a resource", []uma.GrantedPermission{was("", "view")}, []uma.Grant{is("a", "view")}, false},
		{"ids differ by case", []uma.GrantedPermission{was("a", "view")}, []uma.Grant{is("A", "view")}, false},
		{"nothing before", nil, []uma.Grant{is("a", "view")}, true},
	}
	for _, tc := range tests {
		if got := (Rules{}).upgraded(tc.former, tc.now); got != tc.want {
			t.Errorf("%s: got %t, want %t", tc.name, got, tc.want)
		}
	}
}

func TestHasAll(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 20} { // a short list is searched, a long one is a set
		var all []uma.Scope
		for i := range 2 * n {
			all = append(all, uma.Scope(fmt.Sprint("scope-", i)))
		}
		if !hasAll(all, all[n:]) || hasAll(all[:n], all) {
			t.Errorf("hasAll of %d", n)
		}
	}
}
