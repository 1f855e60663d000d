// Command libtorch finds libtorch, or fetches it, and prints the variables that a build over it needs, as a
// shell would set them. scripts/env.sh evaluates what it prints:
//
//	. scripts/env.sh
//
// It looks, in this order, at the folder that $LIBTORCH names, at the PyTorch of the python3 on PATH, and at
// what an earlier run fetched; then it fetches PyTorch's wheel through pip or, where there is no pip, the
// official CPU archive. TORCH=2.1.2 asks for a version. Everything it writes goes to $GOJEPA_HOME, or
// ~/.cache/gojepa, so that the variables are the same for every clone and Go's build cache stays valid.
//
// An error is one sentence on standard error; standard output then holds "false", for the shell to evaluate.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	cwd := flag.String("from", ".", "folder that relative paths in the environment start from")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()

	vars, err := run(ctx, *cwd, os.Getenv, os.Stderr)
	if err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("interrupted, and nothing half-made was kept: run it again to start over")
		}
		// The status is 0: `go run` would add a line of its own about any other.
		fmt.Fprintf(os.Stderr, "gojepa: %v.\n", err)
		fmt.Println("false")
		return
	}
	for _, v := range vars {
		fmt.Printf("export %s='%s'\n", v.name, v.value)
	}
}

// variable is one environment variable of the build.
type variable struct{ name, value string }

// run is the whole command: it returns the variables in a fixed order.
func run(ctx context.Context, cwd string, getenv func(string) string, log io.Writer) ([]variable, error) {
	home, err := homeFolder(cwd, getenv)
	if err != nil {
		return nil, err
	}
	if err := checkCompilers(ctx); err != nil {
		return nil, err
	}
	want, err := parseWanted(getenv("TORCH"))
	if err != nil {
		return nil, err
	}
	f := fetcher{
		home:      home,
		log:       log,
		version:   want,
		archive:   getenv("GOJEPA_LIBTORCH_URL"),
		freeSpace: freeSpace,
	}

	if dir := getenv("LIBTORCH"); dir != "" {
		lib, err := fromEnvironment(absolute(cwd, dir), want)
		if err != nil {
			return nil, err
		}
		return variables(lib, filepath.Join(home, "build-"+lib.version.full))
	}
	lib, note := fromPython(ctx, want)
	if lib != nil {
		return variables(lib, filepath.Join(home, "build-"+lib.version.full))
	}
	lib, err = f.get(ctx, note)
	if err != nil {
		return nil, err
	}
	return variables(lib, filepath.Join(filepath.Dir(lib.dir), "build"))
}

// homeFolder is where fetched and generated files live.
func homeFolder(cwd string, getenv func(string) string) (string, error) {
	home := getenv("GOJEPA_HOME")
	if home == "" {
		cache := getenv("XDG_CACHE_HOME")
		if cache == "" {
			if getenv("HOME") == "" {
				return "", fmt.Errorf("no home folder is known (HOME is not set): set GOJEPA_HOME to a folder with room for libtorch")
			}
			cache = filepath.Join(getenv("HOME"), ".cache")
		}
		home = filepath.Join(cache, "gojepa")
	}
	return absolute(cwd, home), nil
}

func absolute(cwd, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(cwd, path)
}
