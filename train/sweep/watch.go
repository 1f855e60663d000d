package sweep

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gojepa/gojepa/train/progress"
	"github.com/gojepa/gojepa/train/runlog"
)

// watch shows how far a sweep is, in one line.
type watch struct {
	mu      sync.Mutex
	plan    *Plan
	record  *record
	bar     *progress.Bar
	running map[int]bool
	share   []float64 // of each run that is done, from 0 to 1
	quit    chan struct{}
	done    sync.WaitGroup
}

// parts of a run that the line counts.
const parts = 1000

// newWatch shows the line until finish is called.
func newWatch(w io.Writer, p *Plan, r *record) *watch {
	v := &watch{plan: p, record: r, running: map[int]bool{}, share: make([]float64, len(p.Runs)), quit: make(chan struct{})}
	before := 0.0
	for i, s := range r.all() {
		switch s.State {
		case Finished, Stopped, Failed, Diverged:
			v.share[i] = 1
		default:
			v.share[i] = v.shareOf(i)
		}
		before += v.share[i]
	}
	count := func(done, total int) string {
		n := 0
		for _, s := range r.all() {
			if s.State == Finished {
				n++
			}
		}
		return fmt.Sprintf("%d of %d runs finished, %d %% of the work", n, len(p.Runs), 100*done/max(1, total))
	}
	v.bar = progress.New(w, progress.Options{Total: parts * len(p.Runs), Start: int(parts * before), Count: count, Every: 30 * time.Second})
	v.done.Add(1)
	go func() {
		defer v.done.Done()
		tick := time.NewTicker(2 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-v.quit:
				return
			case <-tick.C:
				v.show()
			}
		}
	}()
	return v
}

func (v *watch) begin(i int) {
	v.mu.Lock()
	v.running[i] = true
	v.mu.Unlock()
	fmt.Fprintf(v.bar, "%s: begins\n", v.plan.Runs[i].Name)
	v.show()
}

func (v *watch) end(i int, s Status) {
	v.mu.Lock()
	delete(v.running, i)
	switch s.State {
	case Interrupted, Killed, Paused:
	default:
		v.share[i] = 1
	}
	v.mu.Unlock()
	run := v.plan.Runs[i]
	text := fmt.Sprintf("%s: %s", run.Name, s.State)
	if s.Code != 0 && s.State != Interrupted || s.State == Failed {
		text += fmt.Sprintf(" (code %d), see %s", s.Code, filepath.Join(run.Config.Out, runlog.OutputFile))
		for _, line := range strings.Split(s.Message, "\n") {
			text += "\n    " + line
		}
	}
	fmt.Fprintln(v.bar, text)
}

// show redraws the line.
func (v *watch) show() {
	v.mu.Lock()
	defer v.mu.Unlock()
	sum := 0.0
	var now []string
	for i, s := range v.record.all() {
		if s.State == Stopped {
			v.share[i] = 1
		}
		if v.running[i] {
			v.share[i] = v.shareOf(i)
			now = append(now, fmt.Sprintf("%s %d %%", v.plan.Runs[i].Name, int(100*v.share[i])))
		}
		sum += v.share[i]
	}
	v.bar.Set(int(parts*sum), 0, now...)
}

// shareOf is how far a run is, by the last record of its steps.
func (v *watch) shareOf(i int) float64 {
	c := v.plan.Runs[i].Config
	last, ok := runlog.Last(filepath.Join(c.Out, runlog.MetricsFile))
	if !ok {
		return 0
	}
	if steps, set := c.Schedule.Steps.Get(); set {
		return min(1, float64(last.Step)/float64(max(1, steps)))
	}
	if epochs, set := c.Schedule.Epochs.Get(); set {
		return min(1, last.Epoch/float64(max(1, epochs)))
	}
	return 0
}

func (v *watch) finish() {
	close(v.quit)
	v.done.Wait()
	v.bar.Finish()
}
