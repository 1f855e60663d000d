package main

import (
	"context"
	"io"

	"github.com/gojepa/gojepa/cmd/internal/pretrain"
	"github.com/gojepa/gojepa/internal/cli"
	"github.com/gojepa/gojepa/train/config"
)

// runFlags are those of a run besides its configuration.
type runFlags struct {
	Config string `yaml:"config" flag:"config" arg:"FILE" help:"the run's configuration"`
}

// train is this program as a run of a sweep: command train without what only people need.
func train(line []string, stdout, stderr io.Writer) int {
	cfg := config.Default()
	cmd := cli.Command{Name: "train", Synopsis: "does a run of a sweep.", File: cfg.Read, FileFlag: "config", Check: func() error { return cfg.Validate() }}
	cmd.Flags("Run", new(runFlags))
	cmd.Flags("", &cfg)
	return cmd.Main(line, stdout, stderr, func(ctx context.Context, _ []string) error {
		_, err := pretrain.Run(ctx, cfg, interrupted, stderr)
		return err
	})
}
