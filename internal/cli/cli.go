// Package cli makes a command line out of configuration structs: flags, their help, and errors that name every mistake
// at once. The fields' tags are those of package fields.
//
// Flags are written --name value or --name=value; one dash will do. A flag that is a bool may stand alone and then
// means true. Every field has a flag named by its path, such as --optim.lr; those with a flag tag have a short one too,
// and only these are in --help, the others in --help-all. After -- everything is an argument.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/gojepa/gojepa/internal/fields"
)

// Exit codes.
const (
	OK          = 0
	Failed      = 1   // the work failed
	Misused     = 2   // flags or configuration were wrong; no work was begun
	TryAgain    = 75  // sysexits.h's EX_TEMPFAIL: the same command will do later
	Interrupted = 130 // Ctrl-C or SIGTERM
)

// Example is a command line and what it is for.
type Example struct{ For, Line string }

// Command is a command line.
type Command struct {
	Name     string    // "train"
	Synopsis string    // what it does, in one sentence that follows the name
	Args     string    // what its arguments are called in help; "" if it takes none
	About    string    // what else help should say: paragraphs, wrapped already
	Examples []Example // shown at the end of help

	// File, if set, reads the configuration file that the flag named FileFlag points to. It runs before the other
	// flags are applied, so that these win.
	File     func(path string) error
	FileFlag string

	// Check, if set, examines the whole configuration after flags are applied.
	Check func() error

	flags []entry
}

// entry is a field, with its value before any flag was applied.
type entry struct {
	fields.Field
	initial string
}

// Flags adds the fields of the struct that ptr points to; those that are in no group of their own go under the heading
// given. The values that they have now are shown as defaults. It panics if a flag has the name of another.
func (c *Command) Flags(heading string, ptr any) {
	for _, f := range fields.Of(ptr) {
		for _, name := range []string{f.Flag, f.Path} {
			if c.find(name) != nil {
				panic("cli: two flags are named --" + name)
			}
		}
		if f.Group == "" {
			f.Group = heading
		}
		c.flags = append(c.flags, entry{f, f.String()})
	}
}

// ErrHelp is what Parse returns where help was asked for.
var ErrHelp = errors.New("help was asked for")

// help is an ErrHelp that remembers which.
type help struct{ all bool }

func (help) Error() string        { return ErrHelp.Error() }
func (help) Is(target error) bool { return target == ErrHelp }

// setting is a flag as it was typed.
type setting struct {
	name  string // with its dashes
	flag  *entry
	value string
}

// Parse applies a command line: the configuration file, then the flags in their order, then Check. It returns the
// arguments that are no flags. The error joins all mistakes, each one line, or is ErrHelp.
func (c *Command) Parse(line []string) (args []string, err error) {
	settings, args, errs := c.split(line)
	for _, e := range errs {
		if errors.Is(e, ErrHelp) {
			return nil, e
		}
	}
	if c.File != nil {
		for _, s := range settings {
			if s.flag.Flag == c.FileFlag {
				if err := c.File(s.value); err != nil {
					errs = append(errs, err)
				}
			}
		}
	}
	for _, s := range settings {
		if err := s.flag.Set(s.value); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.name, err))
		}
	}
	if c.Args == "" {
		for _, a := range args {
			errs = append(errs, fmt.Errorf("%q: %s takes no arguments, only flags", a, c.Name))
		}
	}
	if c.Check != nil {
		if err := c.Check(); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return args, nil
}

// split tells flags from arguments.
func (c *Command) split(line []string) (settings []setting, args []string, errs []error) {
	for i := 0; i < len(line); i++ {
		word := line[i]
		if word == "--" {
			return settings, append(args, line[i+1:]...), errs
		}
		if len(word) < 2 || word[0] != '-' {
			args = append(args, word)
			continue
		}
		name, value, given := strings.Cut(strings.TrimPrefix(word[1:], "-"), "=")
		typed, _, _ := strings.Cut(word, "=")
		if name == "h" || name == "help" || name == "help-all" {
			errs = append(errs, help{all: name == "help-all"})
			continue
		}
		f := c.find(name)
		if f == nil {
			errs = append(errs, fmt.Errorf("%s: no such flag%s", typed, c.suggest(name)))
			// What follows is most likely its value, and no mistake of its own.
			if !given && i+1 < len(line) && !strings.HasPrefix(line[i+1], "-") {
				i++
			}
			continue
		}
		if !given && f.IsBool() {
			value, given = "true", true
			if i+1 < len(line) && (line[i+1] == "true" || line[i+1] == "false") {
				i++
				value = line[i]
			}
		}
		if !given && f.Alone != "" && (i+1 == len(line) || strings.HasPrefix(line[i+1], "-")) {
			value, given = f.Alone, true
		}
		if !given {
			if i+1 == len(line) || c.isFlag(line[i+1]) {
				errs = append(errs, fmt.Errorf("%s: needs a value (%s)", typed, f.Arg))
				continue
			}
			i++
			value = line[i]
		}
		settings = append(settings, setting{typed, f, value})
	}
	return settings, args, errs
}

func (c *Command) find(name string) *entry {
	for i := range c.flags {
		if f := &c.flags[i]; name != "" && (name == f.Flag || name == f.Path) {
			return f
		}
	}
	return nil
}

// isFlag says whether a word is one of the flags, so that a value may begin with a dash, like -1, but a forgotten
// value does not swallow the next flag.
func (c *Command) isFlag(word string) bool {
	if !strings.HasPrefix(word, "-") {
		return false
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(word[1:], "-"), "=")
	return word == "--" || strings.HasPrefix(word, "--") || c.find(name) != nil
}

func (c *Command) suggest(name string) string {
	var short, long []string
	for _, f := range c.flags {
		if f.Flag != "" {
			short = append(short, f.Flag)
		}
		long = append(long, f.Path)
	}
	if near := fields.Nearest(name, append(short, long...)); near != "" {
		return "; did you mean --" + near + "?"
	}
	return ""
}

// Main parses a command line and runs the command. Its context ends at Ctrl-C, SIGTERM, SIGUSR2, which batch systems send
// some time before they kill a job, and SIGHUP, if the process was not begun with that ignored. The same signal again ends the
// process at once, with 128 and its number; another does not, as batch systems send several kinds. If run then returns an error that is context.Canceled,
// nothing more is printed, since only run knows what it saved. Other errors go to stderr, one a line, begun with the command's
// name. Main returns the exit code.
func (c *Command) Main(line []string, stdout, stderr io.Writer, run func(ctx context.Context, args []string) error) int {
	args, err := c.Parse(line)
	if h := (help{}); errors.As(err, &h) {
		if err := c.Help(stdout, h.all); err != nil {
			return Failed
		}
		return OK
	}
	if err != nil {
		c.complain(stderr, err)
		fmt.Fprintf(stderr, "%s: --help lists the flags\n", c.Name)
		return Misused
	}
	ctx, stop := interruptible(context.Background())
	defer stop()
	err = run(ctx, args)
	code := new(exit)
	switch {
	case err == nil:
		return OK
	case ctx.Err() != nil && errors.Is(err, context.Canceled) && errors.As(err, code):
		return code.code
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return Interrupted
	}
	c.complain(stderr, err)
	if errors.As(err, new(usage)) {
		return Misused
	}
	return Failed
}

// interruptible returns a context that ends at the first signal that asks the process to stop.
func interruptible(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	asked := []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGUSR2}
	if !signal.Ignored(syscall.SIGHUP) {
		asked = append(asked, syscall.SIGHUP)
	}
	signals, done := make(chan os.Signal, len(asked)), make(chan struct{})
	signal.Notify(signals, asked...)
	go func() {
		seen := map[os.Signal]bool{}
		for {
			select {
			case <-done:
				return
			case s := <-signals:
				if n, ok := s.(syscall.Signal); ok && seen[s] {
					os.Exit(128 + int(n)) // as a shell has it
				}
				seen[s] = true
				cancel()
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel()
	}
}

// exit is an error with an exit code of its own.
type exit struct {
	error
	code int
}

func (e exit) Unwrap() error { return e.error }

// Exit gives the error of a run that was interrupted an exit code of its own, in place of Interrupted.
func Exit(code int, err error) error {
	if err == nil {
		return nil
	}
	return exit{err, code}
}

// complain prints an error, each line of it begun with the command's name.
func (c *Command) complain(w io.Writer, err error) {
	for _, line := range strings.Split(strings.TrimRight(err.Error(), "\n"), "\n") {
		fmt.Fprintf(w, "%s: %s\n", c.Name, line)
	}
}

// usage is an error that lies in what the user asked for.
type usage struct{ error }

func (u usage) Unwrap() error { return u.error }

// Usage marks an error as a mistake in flags or configuration that only the run itself could find, so that Main
// returns Misused.
func Usage(err error) error {
	if err == nil {
		return nil
	}
	return usage{err}
}

// groups lists the headings in the order of their first flags.
func (c *Command) groups() []string {
	var all []string
	for _, f := range c.flags {
		if !slices.Contains(all, f.Group) {
			all = append(all, f.Group)
		}
	}
	return all
}
