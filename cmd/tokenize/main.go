// Command tokenize makes vocabularies of captions, and shows what a tokenizer makes of texts. It is pure Go and needs no libtorch.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/gojepa/gojepa/internal/cli"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// subcommand is one of the things that the command does.
type subcommand struct {
	*cli.Command
	least int // arguments
	run   func(ctx context.Context, std streams, args []string) error
}

// streams are the standard ones.
type streams struct {
	in       io.Reader
	out, log io.Writer
}

// subcommands are made anew for each command line, with the defaults of their flags.
func subcommands() []subcommand { return []subcommand{train(), encode(), show()} }

// run is the command: it returns the exit code.
func run(line []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(line) > 0 {
		for _, sub := range subcommands() {
			if sub.Name == "tokenize "+line[0] {
				return sub.main(line[1:], streams{stdin, stdout, stderr})
			}
		}
		if line[0] == "-h" || line[0] == "-help" || line[0] == "--help" {
			usage(stdout)
			return cli.OK
		}
		fmt.Fprintf(stderr, "tokenize: %q: no such command\n", line[0])
	}
	usage(stderr)
	return cli.Misused
}

func usage(w io.Writer) {
	fmt.Fprint(w, "tokenize makes vocabularies of captions, and shows what a tokenizer makes of texts.\n\nUsage:\n")
	for _, sub := range subcommands() {
		fmt.Fprintf(w, "  %s [flags] %s\n        %s\n", sub.Name, sub.Args, sub.Synopsis)
	}
	fmt.Fprint(w, "\nTOKENIZER is a tokenizer.json. tokenize COMMAND --help lists the flags.\n")
}

// main parses a command line, runs it and returns the exit code.
func (sub subcommand) main(line []string, std streams) int {
	return sub.Main(line, std.out, std.log, func(ctx context.Context, args []string) error {
		if len(args) < sub.least {
			return cli.Usage(fmt.Errorf("expected %s: got %d arguments", sub.Args, len(args)))
		}
		return sub.run(ctx, std, args)
	})
}

// flagged puts dashes before the lines of an error that begin with a field's key.
func flagged(err error) error {
	if err == nil {
		return nil
	}
	var errs []error
	for _, e := range unjoined(err) {
		errs = append(errs, fmt.Errorf("--%w", e))
	}
	return errors.Join(errs...)
}

func unjoined(err error) []error {
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		return j.Unwrap()
	}
	return []error{err}
}
