package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Family is a command whose first argument says which of several to do, each with flags of its own.
type Family struct {
	Name     string
	Synopsis string // a sentence after the name
	Footer   string // what usage says below the list, besides where the flags are listed
	Members  []Member
}

// Member is one of a family. The command's name is the family's, a space, and its own.
type Member struct {
	*Command
	Run func(line []string) int // runs what is behind the name on the command line, and returns the exit code
}

// Main runs a command line and returns the exit code.
func (f Family) Main(line []string, stdout, stderr io.Writer) int {
	if len(line) > 0 {
		for _, m := range f.Members {
			if m.Name == f.Name+" "+line[0] {
				return m.Run(line[1:])
			}
		}
		if line[0] == "-h" || line[0] == "-help" || line[0] == "--help" {
			f.usage(stdout)
			return OK
		}
		fmt.Fprintf(stderr, "%s: %q: no such command\n", f.Name, line[0])
	}
	f.usage(stderr)
	return Misused
}

func (f Family) usage(w io.Writer) {
	fmt.Fprintf(w, "%s %s\n\nUsage:\n", f.Name, f.Synopsis)
	for _, m := range f.Members {
		fmt.Fprintf(w, "  %s [flags] %s\n        %s\n", m.Name, m.Args, m.Synopsis)
	}
	fmt.Fprintf(w, "\n%s %s COMMAND --help lists the flags.\n", f.Footer, f.Name)
}

// Dashed puts dashes before the lines of an error, each of which begins with the name of a flag. It is nil for nil.
func Dashed(err error) error {
	if err == nil {
		return nil
	}
	var errs []error
	for _, line := range strings.Split(err.Error(), "\n") {
		errs = append(errs, errors.New("--"+line))
	}
	return errors.Join(errs...)
}
