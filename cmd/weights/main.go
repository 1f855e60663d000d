// Command weights lists, converts and compares files of weights. It is pure Go and needs no libtorch.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/gojepa/gojepa/internal/cli"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// subcommand is one of the things that the command does.
type subcommand struct {
	*cli.Command
	args int // how many
	run  func(out, log io.Writer, args []string) error
}

// subcommands are made anew for each command line, with the defaults of their flags.
func subcommands() []subcommand { return []subcommand{list(), convert(), diff()} }

// run is the command: it returns the exit code.
func run(line []string, stdout, stderr io.Writer) int {
	if len(line) > 0 {
		for _, sub := range subcommands() {
			if sub.Name == "weights "+line[0] {
				return sub.main(line[1:], stdout, stderr)
			}
		}
		if line[0] == "-h" || line[0] == "-help" || line[0] == "--help" {
			usage(stdout)
			return cli.OK
		}
		fmt.Fprintf(stderr, "weights: %q: no such command\n", line[0])
	}
	usage(stderr)
	return cli.Misused
}

func usage(w io.Writer) {
	fmt.Fprint(w, "weights lists, converts and compares files of weights.\n\nUsage:\n")
	for _, sub := range subcommands() {
		fmt.Fprintf(w, "  %s [flags] %s\n        %s\n", sub.Name, sub.Args, sub.Synopsis)
	}
	fmt.Fprint(w, "\nFiles are safetensors, what torch.save wrote (.pt, .pth, .ckpt, .bin), or an index of such\n"+
		"files (model.safetensors.index.json). weights COMMAND --help lists the flags.\n")
}

// main parses a command line, runs it and returns the exit code, which is Failed if files differ, too.
func (sub subcommand) main(line []string, stdout, stderr io.Writer) int {
	differ := false
	code := sub.Main(line, stdout, stderr, func(_ context.Context, args []string) error {
		if len(args) != sub.args {
			return cli.Usage(fmt.Errorf("expected %s: got %d arguments", sub.Args, len(args)))
		}
		err := sub.run(stdout, stderr, args)
		if errors.Is(err, errDiffer) {
			differ = true
			return nil
		}
		return err
	})
	if differ {
		return cli.Failed
	}
	return code
}
