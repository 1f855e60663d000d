package main

import (
	"encoding/csv"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/torch/weights"
	"github.com/gojepa/gojepa/train/runlog"
)

// TestKilledAnywhere ends a run by SIGKILL at 50 random moments, of which many are within the writing of checkpoints and
// record, as there is one after every step. Begun again each time, it comes to the weights, the optimiser's state and the
// record of one that nobody disturbed, bit for bit.
func TestKilledAnywhere(t *testing.T) {
	const kills, steps = 50, 300
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("KILL_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("KILL_SEED=%d", seed)
	moments := rand.New(rand.NewPCG(seed, 0))
	data, dir := folder(t, 40), t.TempDir()
	line := func(out string) []string {
		return tiny(data, out, "--steps", strconv.Itoa(steps), "--labels", "--checkpoint-every", "1", "--eval-every", "10", "--eval-samples", "8",
			"--log", "csv,tensorboard", "--ema", "0.9")
	}
	calm, killed := filepath.Join(dir, "calm"), filepath.Join(dir, "killed")
	code, _, stderr := execute(line(calm)...)
	require.Zero(t, code, stderr)

	start := func() *exec.Cmd {
		c := exec.Command(os.Args[0], line(killed)...)
		c.Env = append(os.Environ(), asCommand+"=1")
		c.Stderr = new(strings.Builder)
		require.NoError(t, c.Start())
		return c
	}
	// From before the run's folder is made to some steps after it went on, or into the evaluation of one that is finished.
	ended := 0
	for n := 0; n < kills; {
		c := start()
		done := make(chan error, 1)
		go func() { done <- c.Wait() }()
		select {
		case <-time.After(time.Duration(moments.Int64N(int64(time.Second)))):
			require.NoError(t, c.Process.Kill())
			<-done
			n++
		case err := <-done:
			require.NoError(t, err, c.Stderr)
			ended++
			require.Less(t, ended, 10*kills)
		}
	}
	t.Logf("came to its end before it was killed %d times", ended)
	c := start()
	require.NoError(t, c.Wait(), c.Stderr)

	for _, name := range []string{"checkpoint.safetensors", "encoder.safetensors", "encoder_ema.safetensors"} {
		want, got := tensors(t, filepath.Join(calm, name)), tensors(t, filepath.Join(killed, name))
		assert.Equal(t, want, got, name)
	}
	want, got := figures(t, calm), figures(t, killed)
	require.Len(t, got.Steps, steps, "each step once")
	assert.Equal(t, want, got)
	assert.Equal(t, column(t, calm, "loss"), column(t, killed, "loss"))
	for i, s := range column(t, killed, "step") {
		require.Equal(t, strconv.Itoa(i+1), s)
	}
}

// tensors are the elements of a file's tensors, by name.
func tensors(t *testing.T, path string) map[string][]byte {
	f, err := weights.OpenOptions(path, weights.Options{Raw: true})
	require.NoError(t, err)
	defer f.Close()
	all := map[string][]byte{}
	for _, e := range f.Tensors() {
		v, err := f.Read(e.Name)
		require.NoError(t, err)
		all[e.Name] = v
	}
	require.NotEmpty(t, all)
	return all
}

// figures is a run's record without its times.
func figures(t *testing.T, run string) *runlog.Log {
	log, err := runlog.Read(filepath.Join(run, "metrics.jsonl"))
	require.NoError(t, err)
	for i := range log.Steps {
		s := &log.Steps[i]
		s.ImagesPerS, s.WaitShare, s.Seconds = 0, 0, 0
	}
	for i := range log.Evals {
		log.Evals[i].Seconds, log.Evals[i].Share = 0, 0
	}
	return log
}

// column is one of a run's metrics.csv.
func column(t *testing.T, run, name string) (cells []string) {
	f, err := os.Open(filepath.Join(run, "metrics.csv"))
	require.NoError(t, err)
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	require.NoError(t, err)
	for i, title := range rows[0] {
		if title == name {
			for _, row := range rows[1:] {
				cells = append(cells, row[i])
			}
		}
	}
	require.NotEmpty(t, cells)
	return cells
}
