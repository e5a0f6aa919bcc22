# Tests of the realm's policies together with the library: they ask the entry point, as the server does.
package clinic_test

import data.uma.authz

amara := {
	"id": "u-amara", "type": "user", "username": "staff/amara", "roles": [], "client_roles": {},
	"groups": ["/clinic/doctors"], "scopes": [], "attributes": {"department": "cardiology"},
}

noah := object.union(amara, {"id": "u-noah", "username": "staff/noah", "groups": ["/clinic/nurses"]})

ines := object.union(amara, {"id": "u-ines", "username": "staff/ines", "attributes": {"department": "surgery"}})

omar := object.union(amara, {"id": "u-omar", "username": "staff/omar", "groups": ["/clinic/doctors", "/clinic/contractors"]})

nobody := object.union(amara, {"id": "u-nobody", "groups": []})

no_department := object.remove(amara, ["attributes"])

weber := {
	"id": "r-1", "name": "File of Ms Weber", "type": "patient_file", "owner": "c-files", "owner_managed": false,
	"uris": ["/files/weber"], "scopes": ["read"], "attributes": {"ward": ["cardiology"]},
}

stone := object.union(weber, {"id": "r-2", "name": "File of Mr Stone", "attributes": {"sealed": ["yes"]}})

unsealed := object.union(stone, {"attributes": {"sealed": ["no"]}})

results := object.union(weber, {"id": "r-3", "type": "lab_results", "scopes": ["read"], "attributes": {}})

prescriptions := object.union(results, {"id": "r-4", "type": "prescriptions", "scopes": ["prescribe"]})

licence := {"verified": {"licence": "physician"}}

# the council signed it, but for another person than the party
unbound := {"tokens": [{"issuer": "https://council.example", "verified": false, "bound": false, "reason": "not about the requesting party"}]}

request(server, subject, resource, scopes) := {
	"version": "1", "realm": "clinic", "kind": "rpt",
	"subject": subject, "resource": resource, "scopes": scopes,
	"claims": {"verified": {}, "pushed": {}, "tokens": []},
	"client": {"id": "ward-app", "public": false, "authenticated": true},
	"resource_server": server, "shares": [], "requests": [],
	"context": {"time": "2026-11-22T12:00:00Z", "properties": {}},
}

file(subject, resource, claims) := object.union(request("files-api", subject, resource, ["read"]), {"claims": claims})

# who asks for what, with what else -> granted, wanted
cases := {
	"a doctor of the ward": {"in": file(amara, weber, {}), "granted": {"read"}, "wanted": set()},
	"a nurse of the ward": {"in": file(noah, weber, {}), "granted": {"read"}, "wanted": set()},
	"a doctor of another ward": {"in": file(ines, weber, {}), "granted": set(), "wanted": set()},
	"a doctor of no department": {"in": file(no_department, weber, {}), "granted": set(), "wanted": set()},
	"who is neither": {"in": file(nobody, weber, {}), "granted": set(), "wanted": set()},
	"a contractor": {"in": file(omar, weber, licence), "granted": set(), "wanted": set()},
	"at another resource server": {"in": request("lab-api", amara, weber, ["read"]), "granted": set(), "wanted": set()},
	"sealed, without a licence": {"in": file(amara, stone, {}), "granted": set(), "wanted": {"licence"}},
	"sealed, with a licence": {"in": file(amara, stone, licence), "granted": {"read"}, "wanted": set()},
	"sealed, a nurse who is a physician": {"in": file(noah, stone, licence), "granted": {"read"}, "wanted": set()},
	"sealed, somebody else's licence": {"in": file(noah, stone, unbound), "granted": set(), "wanted": {"licence"}},
	"sealed, the app says so": {"in": file(noah, stone, {"pushed": {"licence": ["physician"]}}), "granted": set(), "wanted": {"licence"}},
	"sealed, another licence": {"in": file(noah, stone, {"verified": {"licence": "pharmacist"}}), "granted": set(), "wanted": {"licence"}},
	"sealed, another ward": {"in": file(ines, stone, {}), "granted": set(), "wanted": set()},
	"not sealed any more": {"in": file(noah, unsealed, {}), "granted": {"read"}, "wanted": set()},
	"results for a nurse": {"in": request("lab-api", noah, results, ["read"]), "granted": {"read"}, "wanted": set()},
	"results for nobody": {"in": request("lab-api", nobody, results, ["read"]), "granted": set(), "wanted": set()},
	"results of another server": {"in": request("files-api", amara, results, ["read"]), "granted": set(), "wanted": set()},
	"results for a contractor": {"in": request("lab-api", omar, results, ["read"]), "granted": set(), "wanted": set()},
	"a doctor prescribes": {"in": request("pharmacy-api", amara, prescriptions, ["prescribe"]), "granted": {"prescribe"}, "wanted": set()},
	"a nurse does not": {"in": request("pharmacy-api", noah, prescriptions, ["prescribe"]), "granted": set(), "wanted": set()},
	"prescriptions of another server": {"in": request("lab-api", amara, prescriptions, ["prescribe"]), "granted": set(), "wanted": set()},
	"another type": {"in": file(amara, object.union(weber, {"type": "vault"}), licence), "granted": set(), "wanted": set()},
}

test_decision[name] if {
	some name, c in cases
	d := authz.decision with input as c["in"]
	d.granted == c.granted
	d.submit == set()
	{i.name | some i in d.need_info} == c.wanted
}

test_denial_has_a_reason if {
	d := authz.decision with input as file(omar, weber, {})
	"contractors have no access to patients' data" in d.reasons
}
