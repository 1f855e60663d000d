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
	family := cli.Family{
		Name: "weights", Synopsis: "lists, converts and compares files of weights.",
		Footer: "Files are safetensors, what torch.save wrote (.pt, .pth, .ckpt, .bin), or an index of such\n" +
			"files (model.safetensors.index.json).",
	}
	for _, sub := range subcommands() {
		family.Members = append(family.Members, cli.Member{Command: sub.Command, Run: func(line []string) int { return sub.main(line, stdout, stderr) }})
	}
	return family.Main(line, stdout, stderr)
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
