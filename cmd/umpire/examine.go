package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"example.com/umpire/child"
	"example.com/umpire/rollout"
)

// examineName is the command that child processes run.
const examineName = "examine-policy"

// examineCommand does a job of rollout.Apart. It is not for users, so that it is hidden.
func examineCommand() *cobra.Command {
	return &cobra.Command{
		Use: examineName, Short: "Examine a policy for another umpire process", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return rollout.Work(cmd.Context(), os.Stdin, os.Stdout)
		},
	}
}

// maxExamined limits the results of tests, in bytes.
const maxExamined = 16 << 20

// examiner runs tests of policies in processes with the limits of the flags.
func (e *env) examiner() rollout.Examiner {
	runner, err := child.New(child.Limits{Memory: e.policyMemory << 20, Time: e.policyTime, Output: maxExamined}, examineName)
	if err != nil {
		return func(context.Context, *rollout.Job) (*rollout.Outcome, error) { return nil, err }
	}
	return rollout.Apart(runner)
}
