package rollout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"example.com/umpire/bundles"
	"example.com/umpire/child"
	"example.com/umpire/engine"
	"example.com/umpire/uma"
)

// A Job is work on a policy that may take more memory or time than a server has: to run its
// tests, or to read and compile what came over the network.
type Job struct {
	Folder string // is put before the paths of files

	// Files with tests, whose names match Filter: the tests are run.
	Files  map[string]string
	Filter string

	// Archive is a bundle file, instead of Files: it is read, verified and compiled.
	Archive           []byte
	Keys              *bundles.Keys
	Now               time.Time
	Realm, Entrypoint string
}

// An Outcome is the result of a Job: the findings because of which there are no results, or
// the results of tests.
type Outcome struct {
	Findings []Finding
	Results  *bundles.Results
}

// An Examiner does a job. An error is none of the policy.
type Examiner func(ctx context.Context, job *Job) (*Outcome, error)

// Work is what a process calls that Apart starts.
func Work(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	return child.Work(stdin, stdout, func(job *Job) *Outcome {
		outcome, err := InProcess(ctx, job)
		if err != nil { // ctx has ended
			panic(err)
		}
		return outcome
	})
}

// Apart does jobs in processes that a runner starts, and which call Work.
func Apart(runner *child.Runner) Examiner {
	return func(ctx context.Context, job *Job) (*Outcome, error) {
		outcome := new(Outcome)
		err := runner.Run(ctx, job, outcome)
		exceeded, ok := errors.AsType[*child.LimitError](err)
		switch {
		case !ok:
			return outcome, err
		case job.Archive != nil:
			err = fmt.Errorf("%s: to read and compile it %w: make it smaller, or raise %s", job.Folder, exceeded, flagOf(exceeded))
			return &Outcome{Findings: Findings(GateReadable, err)}, nil
		}
		err = fmt.Errorf("tests of the policy %w: find the test with umpire policy test --run, or raise %s", exceeded, flagOf(exceeded))
		return &Outcome{Findings: Findings(GateTests, err)}, nil
	}
}

// flagOf is the flag of the command line that sets a limit.
func flagOf(exceeded *child.LimitError) string {
	if exceeded.Exceeded == "time" {
		return "--policy-time"
	}
	return "--policy-memory"
}

// InProcess does a job in this process, without limits.
func InProcess(ctx context.Context, job *Job) (*Outcome, error) {
	if job.Archive != nil {
		return &Outcome{Findings: checkArchive(ctx, job)}, nil
	}
	results, err := runTests(ctx, job)
	if err != nil {
		return &Outcome{Findings: Findings(GateTests, err)}, ctx.Err()
	}
	return &Outcome{Results: results}, nil
}

func checkArchive(ctx context.Context, job *Job) []Finding {
	b, err := bundles.ReadArchive(bytes.NewReader(job.Archive), bundles.Options{
		Parser: engine.ParserOptions(), Folder: job.Folder, Keys: job.Keys, Now: job.Now,
	})
	if err != nil {
		return Findings(GateReadable, err)
	}
	src := engine.Source{Files: b.Files, Modules: b.Modules, Data: b.Data, Folder: job.Folder}
	settings := uma.PolicySettings{Entrypoint: job.Entrypoint, Timeout: time.Second}
	if _, err := engine.New(engine.Config{}).Check(ctx, job.Realm, settings, src); err != nil {
		return Findings(GateCheck, err)
	}
	return nil
}

func runTests(ctx context.Context, job *Job) (*bundles.Results, error) {
	b, err := bundles.Parse(job.Files, bundles.Options{Parser: engine.ParserOptions(), Folder: job.Folder, Located: true})
	if err != nil {
		return nil, err
	}
	parts, err := engine.Assemble(engine.Source{Files: b.Files, Modules: b.Modules, Data: b.Data, Folder: job.Folder})
	if err != nil {
		return nil, err
	}
	return bundles.Test(ctx, bundles.Suite{
		Compiler: parts.Compiler, Modules: parts.Modules, Tests: engine.Unrouted(b.Tests), Data: parts.Data, Cover: b.Modules, Filter: job.Filter,
		Mistakes: engine.CompilerErrors,
	})
}

// run has a job done.
func (examine Examiner) run(ctx context.Context, job *Job) (*Outcome, error) {
	if examine == nil {
		return nil, errors.New("examine the policy: this program has no Examiner")
	}
	outcome, err := examine(ctx, job)
	if err != nil {
		return nil, fmt.Errorf("examine the policy: %w", err)
	}
	if len(outcome.Findings) > 0 {
		return nil, &foundError{outcome.Findings}
	}
	return outcome, nil
}

// A foundError has the findings of a job.
type foundError struct{ findings []Finding }

func (e *foundError) Error() string {
	lines := make([]string, len(e.findings))
	for i := range e.findings {
		lines[i] = e.findings[i].Error()
	}
	return strings.Join(lines, "\n")
}
