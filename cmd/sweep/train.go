package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"syscall"

	"github.com/gojepa/gojepa/cmd/internal/pretrain"
	"github.com/gojepa/gojepa/internal/cli"
	"github.com/gojepa/gojepa/train/config"
)

// runFlags are those of a run besides its configuration.
type runFlags struct {
	Config string `yaml:"config" flag:"config" arg:"FILE" help:"the run's configuration"`
}

// runOfSweep is this program as a run of a sweep: command train without what only people need.
func runOfSweep(line []string, stdout, stderr io.Writer) int {
	cfg := config.Default()
	cmd := cli.Command{Name: "train", Synopsis: "does a run of a sweep.", File: cfg.Read, FileFlag: "config", Check: func() error { return cfg.Validate() }}
	cmd.Flags("Run", new(runFlags))
	cmd.Flags("", &cfg)
	return cmd.Main(line, stdout, stderr, func(ctx context.Context, _ []string) error {
		go endWith(os.Stdin)
		res, err := pretrain.Run(ctx, cfg, cli.TryAgain, stderr)
		if err != nil {
			return err
		}
		var b bytes.Buffer
		pretrain.Show(&b, res)
		_, err = b.WriteTo(stdout)
		return err
	})
}

// endWith tells this process to stop when the sweep ends that holds the other end of its standard input, also one that is killed.
func endWith(sweep io.Reader) {
	_, _ = io.Copy(io.Discard, sweep)
	_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
}
