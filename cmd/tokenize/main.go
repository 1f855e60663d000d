// Command tokenize makes vocabularies of captions, and shows what a tokenizer makes of texts. It is pure Go and needs no libtorch.
package main

import (
	"context"
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
	family := cli.Family{
		Name: "tokenize", Synopsis: "makes vocabularies of captions, and shows what a tokenizer makes of texts.",
		Footer: "TOKENIZER is a tokenizer.json.",
	}
	for _, sub := range subcommands() {
		family.Members = append(family.Members, cli.Member{Command: sub.Command, Run: func(line []string) int {
			return sub.main(line, streams{stdin, stdout, stderr})
		}})
	}
	return family.Main(line, stdout, stderr)
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
