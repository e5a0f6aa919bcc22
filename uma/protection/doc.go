// Package protection is the protection API: resource servers register resources and
// request permission tickets (FedAuthz §3, §4); they and owners store permission requests
// and user-managed policies (Keycloak's additions). Rules says what faces decide about it.
package protection
