//go:build linux

package train

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/lejepa"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/train/runlog"
)

// A week's run is go test ./train -run Soak -soak 200000 -timeout 0 -v, which prints what it takes at the end of each stretch.
var soak = flag.Int("soak", 600, "steps of TestSoak")

// usage is what a process holds at the end of a stretch of steps.
type usage struct {
	step                     int
	rss                      int64 // bytes
	fds, threads, goroutines int
	handles                  int64
	mallocs, allocated       uint64 // per step of the stretch
	seconds                  float64
}

func (u usage) String() string {
	return fmt.Sprintf("step %7d: RSS %6.1f MB, %d file descriptors, %d threads, %d goroutines, %d tensor handles, %d allocations and %.1f kB a step, %.2f s per 1000 steps",
		u.step, float64(u.rss)/1e6, u.fds, u.threads, u.goroutines, u.handles, u.mallocs, float64(u.allocated)/1e3, u.seconds)
}

// soaking is an encoder that takes stock after every so many steps.
type soaking struct {
	cancelling
	perStep, stretch int // forward passes in training, and steps
	passes           int
	began            time.Time
	before           runtime.MemStats
	at               []usage
	say              func(...any)
}

func (e *soaking) Forward(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor {
	if p.Train {
		if e.passes%(e.perStep*e.stretch) == 0 {
			e.takeStock()
		}
		e.passes++
	}
	return e.Encoder.Forward(s, x, p)
}

func (e *soaking) takeStock() {
	took := time.Since(e.began)
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	u := usage{step: e.passes / e.perStep, goroutines: runtime.NumGoroutine(), handles: torch.LiveHandles()}
	n := uint64(e.stretch)
	u.mallocs, u.allocated = (now.Mallocs-e.before.Mallocs)/n, (now.TotalAlloc-e.before.TotalAlloc)/n
	u.seconds = took.Seconds() / float64(e.stretch) * 1000
	status, err := os.ReadFile("/proc/self/status")
	if err == nil {
		for _, line := range strings.Split(string(status), "\n") {
			_, _ = fmt.Sscanf(line, "Threads: %d", &u.threads)
			if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &u.rss); n == 1 {
				u.rss *= 1024
			}
		}
	}
	fds, err := os.ReadDir("/proc/self/fd")
	if err == nil {
		u.fds = len(fds)
	}
	if e.passes > 0 {
		e.at = append(e.at, u)
		e.say(u)
	}
	runtime.ReadMemStats(&e.before)
	e.began = time.Now()
}

// TestSoak trains for many tiny steps, with checkpoints, evaluations and all kinds of records, and holds the run to what it took
// in the beginning: no handle, descriptor, thread or goroutine more, and no growing memory.
func TestSoak(t *testing.T) {
	c := small(t)
	c.Encoder.Depth, c.Views.Local.Count = config.Of(1), 0
	c.Schedule.BatchSize, c.Schedule.Steps = config.Of(4), config.Of(*soak)
	c.Log = runlog.Formats()
	c.CheckpointEvery = config.Every{Steps: max(20, *soak/2000)}
	if *soak >= 10_000 {
		c.EvalEvery = config.Every{Steps: *soak / 20}
	}
	e := &soaking{perStep: 1, stretch: max(100, *soak/100), say: t.Log}
	_, err := Run(context.Background(), c, WithSource(&stripes{n: 40}), WithEncoder(func(s *torch.Scope, seed uint64) (lejepa.Encoder, error) {
		r := &run{cfg: c}
		r.cfg.Encoder.Channels = config.Of(1)
		inner, err := r.newEncoder(s, false)
		e.Encoder = inner
		return e, err
	}))
	require.NoError(t, err)
	log, err := runlog.Read(c.Out + "/metrics.jsonl")
	require.NoError(t, err)
	require.Len(t, log.Steps, *soak)
	for i, s := range log.Steps {
		require.Equal(t, i+1, s.Step)
	}

	// The first stretches fill pools and caches.
	require.Greater(t, len(e.at), 3, "too few stretches to judge by")
	warm := max(1, len(e.at)/10)
	first, last := e.at[warm], e.at[len(e.at)-1]
	t.Logf("first %v", first)
	t.Logf("last  %v", last)
	assert.Equal(t, first.fds, last.fds, "file descriptors")
	assert.Equal(t, first.handles, last.handles, "tensor handles")
	assert.LessOrEqual(t, last.goroutines, first.goroutines, "goroutines")
	assert.LessOrEqual(t, last.threads, first.threads+1, "threads; Go starts one more where a call takes long")
	// Stretches with an evaluation take more than others.
	early, late := e.at[warm:max(warm+1, len(e.at)/4)], e.at[3*len(e.at)/4:]
	most := func(stretches []usage, of func(usage) float64) float64 { return of(extreme(stretches, of, 1)) }
	least := func(stretches []usage, of func(usage) float64) float64 { return of(extreme(stretches, of, -1)) }
	rss := func(u usage) float64 { return float64(u.rss) }
	mallocs := func(u usage) float64 { return float64(u.mallocs) }
	seconds := func(u usage) float64 { return u.seconds }
	assert.LessOrEqual(t, most(late, rss), most(early, rss)+16<<20, "resident memory")
	assert.LessOrEqual(t, least(late, mallocs), 1.05*least(early, mallocs), "allocations a step")
	if *soak >= 10_000 { // fewer are over before the machine's mood has changed
		assert.Less(t, least(late, seconds), 1.15*least(early, seconds), "seconds per 1000 steps, at their least")
	}
}

// extreme is the stretch with the largest figure, or the smallest if sign is -1.
func extreme(stretches []usage, of func(usage) float64, sign float64) usage {
	return slices.MaxFunc(stretches, func(a, b usage) int { return cmp.Compare(sign*of(a), sign*of(b)) })
}
