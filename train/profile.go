package train

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/train/report"
	"github.com/gojepa/gojepa/train/trace"
)

// Of steps that a run chooses itself: how many, and how many of its session come before, in which memory is taken for the first
// time and libtorch prepares what it uses again.
const (
	profiledSteps = 5
	warmingUp     = 10
)

// mainLane is the row of a trace that has what the run itself does.
const mainLane = "steps"

// profile is what is known of the steps that are profiled.
type profile struct {
	first, last int            // 1 being a run's first; 0 for none
	spans       trace.Recorder // of the run and of the workers that make views
	on          bool
	began       time.Time
	step        int // that is under way, 0 for none
	stepBegan   time.Time
}

// planProfile chooses the steps of this session that are profiled. Steps that the run does not have are an error; those that it
// has done before are not, so that the command that began a run goes on with it.
func (r *run) planProfile() error {
	asked, p := r.cfg.Profile, &r.profile
	left := r.steps - r.at.Step
	switch {
	case asked.Auto && left > 0:
		n := min(profiledSteps, left)
		p.first = r.at.Step + min(warmingUp, left-n) + 1
		p.last = p.first + n - 1
	case asked.Auto:
		r.printf("--profile: the run has done all of its %d steps: none is left to profile\n", r.steps)
	case asked.First > r.steps:
		return fmt.Errorf("--profile %s: the run has %d steps, of which 1 is the first", asked, r.steps)
	case asked.First > 0 && asked.Last <= r.at.Step:
		r.printf("--profile %s: the run goes on after step %d: these steps are done, and not profiled again\n", asked, r.at.Step)
	case asked.First > 0:
		p.first, p.last = max(asked.First, r.at.Step+1), min(asked.Last, r.steps)
		if p.first > asked.First || p.last < asked.Last {
			r.printf("--profile %s: steps %d to %d are profiled, as the run goes on after step %d and has %d\n", asked, p.first, p.last, r.at.Step, r.steps)
		}
	}
	r.showProfile()
	return nil
}

// onImage is told of the workers' time, if anything is profiled.
func (p *profile) onImage() func(worker int, began, read, made time.Time) {
	if p.first == 0 {
		return nil
	}
	return func(worker int, began, read, made time.Time) {
		lane := fmt.Sprintf("views, worker %d", worker+1)
		p.spans.Add(lane, "reading an image", began, read)
		p.spans.Add(lane, "making views", read, made)
	}
}

// profileStep is called before each step, and has the profile begin and end with the right ones. A run does not end for want of it.
func (r *run) profileStep() {
	p := &r.profile
	p.endStep()
	switch next := r.at.Step + 1; {
	case p.on && next > p.last:
		r.endProfile()
	case !p.on && p.first > 0 && next >= p.first && next <= p.last:
		if err := r.startProfile(); err != nil {
			p.first = 0
			r.printf("not profiled: %v\n", err)
		}
	}
	p.step, p.stepBegan = r.at.Step+1, time.Now()
}

func (p *profile) endStep() {
	if p.step > 0 {
		p.spans.Add(mainLane, trace.StepSpan(p.step), p.stepBegan, time.Now())
		p.step = 0
	}
}

func (r *run) startProfile() (err error) {
	p := &r.profile
	err = errors.Join(r.th.Do(context.Background(), func(s *torch.Scope) { p.began, err = s.StartProfile() }), err)
	p.on = err == nil
	if p.on {
		p.spans.Start()
	}
	return err
}

// endProfile writes the trace of the profile that is under way, if there is one, and shows what is in it.
func (r *run) endProfile() {
	p := &r.profile
	if !p.on {
		return
	}
	p.endStep()
	err := r.writeTrace()
	p.on, p.first = false, 0
	p.spans.Stop()
	if err != nil {
		r.printf("not profiled: %v\n", err)
		return
	}
	if s := r.showProfile(); s != nil {
		r.printf("profile of steps %s, written to %s:\n", s.Steps, s.Path)
		text := &lines{print: r.printf}
		_ = s.Print(text)
	}
}

// lines hands on what is written.
type lines struct{ print func(format string, a ...any) }

func (l *lines) Write(b []byte) (int, error) {
	l.print("%s", b)
	return len(b), nil
}

func (r *run) writeTrace() (err error) {
	dir, err := os.MkdirTemp("", "gojepa-profile-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	part := filepath.Join(dir, traceFile)
	var failed error
	err = r.th.Do(context.Background(), func(s *torch.Scope) { failed = s.StopProfile(part) })
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	return r.profile.spans.Merge(filepath.Join(r.cfg.Out, traceFile), part, torch.ProfileSpan, r.profile.began)
}

// showProfile puts what the run's trace says on the page, and returns it; nil if there is none.
func (r *run) showProfile() *trace.Summary {
	s, err := trace.Summarise(filepath.Join(r.cfg.Out, traceFile), torch.ProfileSpan)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		r.printf("the page shows no profile: %v\n", err)
		return nil
	}
	r.board.Set(func(p *report.Report) { p.Profile = s })
	return s
}
