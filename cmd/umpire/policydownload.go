package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"example.com/umpire/opaservice"
	"example.com/umpire/realm"
)

func downloadCommand(e *env) *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:   "download FILE --to BUNDLE",
		Short: "Download the bundle of a realm whose policies come from an OPA service",
		Long: `Ask the service in policy.opa of a realm file for the realm's bundle, once, with the
credentials of the file, and write it as it is. Signature and content are not examined: the
commands policy check, lint and test do that, with the realm file as --realm.`,
		Example: `  umpire policy download realm.yaml --to photoz.tar.gz
  umpire policy check photoz.tar.gz --realm realm.yaml`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return e.downloadBundle(cmd.Context(), args[0], to) },
	}
	cmd.Flags().StringVar(&to, "to", "", "`file` to write, which must not exist")
	_ = cmd.MarkFlagRequired("to") // the flag exists
	return cmd
}

func (e *env) downloadBundle(ctx context.Context, file, to string) (err error) {
	spec, notices, err := realm.Read(file, e.getenv)
	e.printNotices(notices)
	if err != nil {
		return err
	}
	if !spec.Realm.Policy.FromService() {
		return fmt.Errorf("realm %s has no policy.opa.bundles: its policies are on this machine", spec.Realm.Name)
	}
	config, err := opaservice.Parse(spec.OPA)
	if err != nil {
		return err
	}
	poller, err := config.Poller(opaservice.Limits{})
	if err != nil {
		return err
	}
	content, err := poller.Poll(ctx)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = out.Write(content)
	if closed := out.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "%s: %d bytes of %s\n", to, len(content), config.Source())
	return nil
}
