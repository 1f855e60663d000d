package train

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/train/trace"
)

// traced is an event of a trace.
type traced struct {
	Phase string         `json:"ph"`
	Cat   string         `json:"cat"`
	Name  string         `json:"name"`
	PID   any            `json:"pid"`
	TID   any            `json:"tid"`
	TS    float64        `json:"ts"` // µs
	Dur   float64        `json:"dur"`
	Args  map[string]any `json:"args"`
}

// within allows for rounding, and for what passes between a span of libtorch and the look at Go's clock beside it.
func (e traced) within(o traced) bool {
	const slack = 200
	return o.TS-slack <= e.TS && e.TS+e.Dur <= o.TS+o.Dur+slack
}

// traceOf are the events of a run's trace, by name, and the names of Go's rows.
func traceOf(t *testing.T, out string) (map[string][]traced, []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(out, "trace.json"))
	require.NoError(t, err)
	var f struct {
		TraceEvents []traced `json:"traceEvents"`
	}
	require.NoError(t, json.Unmarshal(text, &f))
	assert.NotContains(t, string(text), os.TempDir()+"/gojepa-profile", "nothing of where it was written first")
	all := map[string][]traced{}
	var rows []string
	for _, e := range f.TraceEvents {
		if e.Phase == "X" {
			assert.GreaterOrEqual(t, e.Dur, 0.0, e.Name)
			all[e.Name] = append(all[e.Name], e)
		}
		if e.Phase == "M" && e.Name == "thread_name" && e.PID == 1.0 {
			rows = append(rows, e.Args["name"].(string))
		}
	}
	return all, rows
}

func TestProfile(t *testing.T) {
	profiled := func(t *testing.T, change func(*config.Config)) (config.Config, string) {
		c := small(t)
		c.Threads = config.Of(2)
		c.Schedule.BatchSize, c.Encoder.DropPath = config.Of(64), 0
		c.EvalEvery, c.CheckpointEvery = config.Every{Steps: 3}, config.Every{Steps: 3}
		change(&c)
		plain := c
		plain.Out += "-plain"
		c.Profile = config.Profile{First: 2, Last: 4}
		var log bytes.Buffer
		for _, c := range []config.Config{plain, c} {
			_, err := Run(context.Background(), c, WithSource(unlabelled{&stripes{n: 128}}), WithOutput(&log))
			require.NoError(t, err)
		}
		assert.Equal(t, checkpointOf(t, plain.Out), checkpointOf(t, c.Out), "the same bits")
		assert.NoFileExists(t, filepath.Join(plain.Out, "trace.json"))
		return c, log.String()
	}

	c, log := profiled(t, func(*config.Config) {})
	all, rows := traceOf(t, c.Out)
	require.Len(t, all[torch.ProfileSpan], 1)
	whole := all[torch.ProfileSpan][0]
	for name, calls := range map[string]int{
		"step 2": 1, "step 3": 1, "step 4": 1, "step 1": 0, "step 5": 0, "waiting for data": 3, "transfer": 3, "forward": 3, "loss": 3,
		"directions": 3, "SIGReg": 3, "backward": 3, "optimiser": 6, "evaluation": 1, "checkpoint": 1, "gojepa::attention_branch": 3 * 2 * 2,
	} {
		assert.GreaterOrEqual(t, len(all[name]), calls, name)
		if calls == 0 || strings.HasPrefix(name, "step") || name == "loss" {
			assert.Len(t, all[name], calls, name)
		}
		for _, e := range all[name] {
			assert.True(t, e.within(whole), name)
		}
	}
	for i := range 3 {
		step := all[fmt.Sprint("step ", i+2)][0]
		parts := 0.0
		for _, name := range []string{"waiting for data", "transfer", "forward", "loss", "backward"} {
			part := all[name][i]
			assert.True(t, part.within(step), "%s of step %d", name, i+2)
			assert.Positive(t, part.Dur, name)
			parts += part.Dur
		}
		assert.LessOrEqual(t, parts, step.Dur+200, "they do not overlap")
		assert.True(t, all["SIGReg"][i].within(all["loss"][i]))
		assert.True(t, all["transfer"][i].TS < all["forward"][i].TS && all["forward"][i].TS < all["loss"][i].TS && all["loss"][i].TS < all["backward"][i].TS)
	}
	assert.True(t, all["evaluation"][0].within(all["step 3"][0]))
	assert.True(t, all["gojepa::attention_branch"][0].within(all["forward"][0]))
	threads := map[any]bool{}
	for _, e := range all["aten::addmm"] {
		threads[e.TID] = true
	}
	assert.Len(t, threads, 2, "threads that work within a block are seen")
	assert.Contains(t, rows, "steps")
	assert.Contains(t, rows, "views, worker 1")
	assert.NotEmpty(t, all["making views"])

	s, err := trace.Summarise(filepath.Join(c.Out, "trace.json"), torch.ProfileSpan)
	require.NoError(t, err)
	assert.Equal(t, "2 to 4", s.Steps)
	assert.Len(t, s.Operations, 10)
	assert.InDelta(t, whole.Dur, float64(s.Whole.Nanoseconds())/1000, 1)
	for _, r := range s.Spans {
		assert.LessOrEqual(t, r.Share, 1.01, r.Name)
	}
	assert.Contains(t, log, "profile of steps 2 to 4, written to "+filepath.Join(c.Out, "trace.json"))
	assert.Regexp(t, `(?m)^  *SIGReg +[0-9.]+ ms +3 +[0-9.]+ %$`, log)
	page, err := os.ReadFile(filepath.Join(c.Out, "report.html"))
	require.NoError(t, err)
	assert.Contains(t, string(page), "Where the time went")

	c, _ = profiled(t, func(c *config.Config) {
		c.Schedule.MicroBatch, c.Schedule.Checkpoint = config.Of(16), true
		c.EvalEvery, c.CheckpointEvery = config.Every{}, config.Every{}
	})
	all, _ = traceOf(t, c.Out)
	assert.Len(t, all["forward"], 3*(2*4+1), "pieces of two sizes of views, and the projector")
	assert.Len(t, all["backward"], 3*(2*4+1))
	assert.Len(t, all["loss"], 3)
}

func TestProfiledSteps(t *testing.T) {
	c := small(t)
	train := func(profile, steps string) (string, error) {
		t.Helper()
		require.NoError(t, c.Profile.UnmarshalText([]byte(profile)))
		require.NoError(t, c.Schedule.Steps.UnmarshalText([]byte(steps)))
		require.NoError(t, os.RemoveAll(filepath.Join(c.Out, "trace.json")))
		var log bytes.Buffer
		_, err := Run(context.Background(), c, WithSource(unlabelled{&stripes{n: 40}}), WithOutput(&log))
		return log.String(), err
	}
	steps := func() string {
		s, err := trace.Summarise(filepath.Join(c.Out, "trace.json"), torch.ProfileSpan)
		require.NoError(t, err)
		return s.Steps
	}
	_, err := train("7:9", "6")
	require.EqualError(t, err, "--profile 7:9: the run has 6 steps, of which 1 is the first")
	assert.NoDirExists(t, c.Out)

	_, err = train("auto", "6")
	require.NoError(t, err)
	assert.Equal(t, "2 to 6", steps(), "as late as there are five")

	log, err := train("auto", "6")
	require.NoError(t, err)
	assert.Contains(t, log, "--profile: the run has done all of its 6 steps")
	assert.NoFileExists(t, filepath.Join(c.Out, "trace.json"))

	log, err = train("2:3", "9")
	require.NoError(t, err)
	assert.Contains(t, log, "--profile 2:3: the run goes on after step 6: these steps are done, and not profiled again")
	assert.NoFileExists(t, filepath.Join(c.Out, "trace.json"))

	log, err = train("8:20", "12")
	require.NoError(t, err)
	assert.Contains(t, log, "--profile 8:20: steps 10 to 12 are profiled, as the run goes on after step 9 and has 12")
	assert.Equal(t, "10 to 12", steps())

	_, err = train("auto", "40")
	require.NoError(t, err)
	assert.Equal(t, "23 to 27", steps(), "ten steps after it goes on")

	// A run that is interrupted leaves what it has, and a run that goes on shows it.
	require.NoError(t, c.Profile.UnmarshalText([]byte("42:50")))
	require.NoError(t, c.Schedule.Steps.UnmarshalText([]byte("60")))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c.EvalEvery = config.Every{}
	encoder := &cancelling{after: 9, cancel: cancel} // of two passes in a step
	_, err = Run(ctx, c, WithSource(unlabelled{&stripes{n: 40}}), WithEncoder(encoder.make(t)))
	require.ErrorAs(t, err, new(*Interrupted))
	s, err := trace.Summarise(filepath.Join(c.Out, "trace.json"), torch.ProfileSpan)
	require.NoError(t, err)
	assert.Regexp(t, "^42 to 4[4-8]$", s.Steps)
	c.Profile = config.Profile{}
	_, err = Run(context.Background(), c, WithSource(unlabelled{&stripes{n: 40}}))
	require.NoError(t, err)
	page, err := os.ReadFile(filepath.Join(c.Out, "report.html"))
	require.NoError(t, err)
	assert.Contains(t, string(page), "Of steps "+s.Steps)
}
