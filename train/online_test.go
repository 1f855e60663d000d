package train

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/train/live"
	"github.com/gojepa/gojepa/train/runlog"
	"github.com/gojepa/gojepa/vision/images"
)

// evaluations is how many a run's record has.
func evaluations(t *testing.T, out string) int {
	log, err := runlog.Read(filepath.Join(out, "metrics.jsonl"))
	require.NoError(t, err)
	return len(log.Evals)
}

// unlabelled hides the labels of a source.
type unlabelled struct{ images.Source }

// TestEvaluationChangesNothing: weights, moments and losses are the same to the bit with evaluations and without.
func TestEvaluationChangesNothing(t *testing.T) {
	for _, precision := range []string{"fp32", "bf16"} {
		for _, src := range []images.Source{&stripes{n: 40}, unlabelled{&stripes{n: 40}}} {
			never := small(t)
			never.Precision, never.EvalEvery, never.Optim.EMA = precision, config.Every{}, 0.9
			_, err := Run(context.Background(), never, WithSource(src))
			require.NoError(t, err)
			often := small(t)
			often.Precision, often.EvalEvery, often.Optim.EMA = precision, config.Every{Steps: 1}, 0.9
			_, err = Run(context.Background(), often, WithSource(src))
			require.NoError(t, err)

			assert.Equal(t, 1, evaluations(t, never.Out), "at the end")
			assert.Equal(t, 6, evaluations(t, often.Out))
			assert.Equal(t, checkpointOf(t, never.Out), checkpointOf(t, often.Out))
			a, err := runlog.Read(filepath.Join(never.Out, "metrics.jsonl"))
			require.NoError(t, err)
			b, err := runlog.Read(filepath.Join(often.Out, "metrics.jsonl"))
			require.NoError(t, err)
			for i := range a.Steps {
				assert.Equal(t, a.Steps[i].Loss, b.Steps[i].Loss)
			}
			assert.Equal(t, a.Evals[0].Values, b.Evals[5].Values, "nor do evaluations change each other")
		}
	}
}

// TestEvaluationWithoutLabels has figures that need none, of as many images as are asked for.
func TestEvaluationWithoutLabels(t *testing.T) {
	c := small(t)
	c.EvalEvery, c.EvalSamples = config.Every{Steps: 2}, 20
	src := &stripes{n: 40, broken: map[int]bool{3: true}}
	_, err := Run(context.Background(), c, WithSource(unlabelled{src}))
	require.NoError(t, err)
	log, err := runlog.Read(filepath.Join(c.Out, "metrics.jsonl"))
	require.NoError(t, err)
	require.Len(t, log.Evals, 3)
	for i, e := range log.Evals {
		assert.Equal(t, 2*(i+1), e.Step)
		for name, most := range map[string]float64{"rankme": 16.1, "participation": 16, "alpha_req": 20, "sigreg": 10, "sigreg_embeddings": 10, "sigreg_expected": 1.06} {
			require.Contains(t, e.Values, name)
			assert.Greater(t, e.Values[name], 0.1, name)
			assert.Less(t, e.Values[name], most, name)
		}
		assert.NotContains(t, e.Values, "online_knn")
	}
	assert.Positive(t, log.Evals[0].Seconds)
	assert.Less(t, log.Evals[0].Share, 1.)
}

// TestShareOfTheTime: what evaluations took and would take stays within the share, whatever they cost.
func TestShareOfTheTime(t *testing.T) {
	c := small(t)
	c.EvalEvery = config.Every{Share: 0.05}
	now := time.Now()
	r := &run{cfg: c, steps: 1000, data: data{train: unlabelled{&stripes{n: 40}}}}
	at := func(step int, after time.Duration, spent, last time.Duration) bool {
		r.at.Step, r.online.began, r.online.spent, r.online.last = step, now.Add(-after), spent, last
		return r.evaluationDue(5)
	}
	assert.True(t, at(500, 100*time.Second, 0, 5*time.Second))
	assert.False(t, at(500, 100*time.Second, time.Second, 5*time.Second))
	assert.False(t, at(500, 90*time.Second, 0, 5*time.Second))
	assert.False(t, at(501, 100*time.Second, 0, 5*time.Second), "at most 200 in a run")
	r.stepTime = time.Second // so that the first of 40 images is taken to cost 5 s, in batches of 8
	assert.True(t, at(500, 96*time.Second, 0, 0))
	assert.False(t, at(500, 94*time.Second, 0, 0))
}

// TestServedRun: the page moves on with the run, and ends with it; a port in use ends a run before it begins.
func TestServedRun(t *testing.T) {
	c := small(t)
	c.Schedule.Steps, c.EvalEvery = config.Of(40), config.Every{Steps: 2}
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := Run(context.Background(), c, WithSource(unlabelled{&stripes{n: 40}}), WithOutput(in), WithServer(":0"))
		in.Close()
		done <- err
	}()
	var url string
	var steps []int
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, after, ok := strings.Cut(lines.Text(), "the run is shown at "); ok {
			url = after
			taken := small(t)
			_, err := Run(context.Background(), taken, WithSource(&stripes{n: 40}), WithServer(strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/")))
			assert.ErrorIs(t, err, syscall.EADDRINUSE)
			assert.NoDirExists(t, taken.Out)
		}
		if strings.HasPrefix(lines.Text(), "evaluated after step") {
			res, err := http.Get(url + "status.json")
			require.NoError(t, err)
			var s live.Status
			require.NoError(t, json.NewDecoder(res.Body).Decode(&s))
			res.Body.Close()
			steps = append(steps, s.Step)
		}
	}
	require.NoError(t, <-done)
	require.Len(t, steps, 19)
	assert.True(t, slices.IsSorted(steps))
	assert.Less(t, steps[0], steps[18])
	_, err := http.Get(url)
	assert.ErrorIs(t, err, syscall.ECONNREFUSED)
}

// TestImagesTooLargeToKeep are read again for each evaluation, with the same features.
func TestImagesTooLargeToKeep(t *testing.T) {
	ctx := context.Background()
	r, err := open(ctx, small(t), []Option{WithSource(&stripes{n: 40})})
	require.NoError(t, err)
	defer r.close()
	require.NoError(t, r.drawSamples(ctx))
	require.NotNil(t, r.online.test.kept)
	kept, err := r.sampleFeatures(ctx, r.online.test)
	require.NoError(t, err)
	r.online.test.kept = nil
	again, err := r.sampleFeatures(ctx, r.online.test)
	require.NoError(t, err)
	assert.Equal(t, kept, again)
}
