// Package protection is what resource servers do: they register resources, ask for
// permission tickets, keep permission requests and user-managed policies (FedAuthz §3, §4,
// and Keycloak's additions).
package protection
