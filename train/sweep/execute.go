package sweep

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gojepa/gojepa/internal/cli"
	"github.com/gojepa/gojepa/train/runlog"
)

// Options say how a plan is done.
type Options struct {
	Train   []string // the program train and arguments that come before those of a run; if its standard input ends, so has the sweep
	Jobs    int      // runs at a time
	Threads int      // of a run, where its configuration leaves them open; 0 shares the cores out
	Devices []string // that runs take turns on, where their configuration leaves it open; nil leaves it open
	Retry   bool     // runs that failed or diverged are done again, too
	Output  io.Writer
}

// Execute does the runs of a plan that are not done yet, Jobs of them at a time, each as a process whose output goes to a file in
// its folder. One that fails does not stop the others. When ctx ends, runs are told to stop, and save; Execute waits for
// them and returns the context's error, and the same call goes on from there.
//
// It returns the states of all runs. The error is of the sweep itself: another process has its folder, or a file could not be
// written.
func Execute(ctx context.Context, p *Plan, o Options) ([]Status, error) {
	l, err := lock(p.Out)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	r, err := openRecord(p)
	if err != nil {
		return nil, err
	}
	e := &execution{plan: p, o: o, record: r, tried: map[int]bool{}}
	e.watch = newWatch(o.Output, p, r)
	defer e.watch.finish()
	err = e.all(ctx)
	return r.all(), errors.Join(err, ctx.Err())
}

// execution is a plan that is being done.
type execution struct {
	plan   *Plan
	o      Options
	record *record
	watch  *watch

	mu    sync.Mutex
	tried map[int]bool // runs that failed in this session, and are not tried again in it
}

// all does the runs to the end, or from one decision of early stopping to the next.
func (e *execution) all(ctx context.Context) error {
	rule := e.plan.Stop
	for i := e.record.decisions(); i < len(rule.At); i++ {
		if err := e.until(ctx, rule.At[i]); err != nil || ctx.Err() != nil {
			return err
		}
		if why := e.undecided(rule.At[i]); why != "" {
			fmt.Fprintf(e.watch.bar, "runs are not compared after step %d: %s\n", rule.At[i], why)
			return nil
		}
		if err := e.decide(i); err != nil {
			return err
		}
	}
	return e.until(ctx, 0)
}

// until gives the open runs to as many goroutines as there are jobs, and has them stop after some steps, or at the end for 0.
func (e *execution) until(ctx context.Context, step int) error {
	queue := make(chan int, len(e.plan.Runs))
	for i, s := range e.record.all() {
		if s.open(e.o.Retry && !e.tried[i]) && (step == 0 || lastStep(e.plan.Runs[i]) < step) {
			queue <- i
		}
	}
	close(queue)
	errs := make([]error, e.o.Jobs)
	var wg sync.WaitGroup
	for job := range e.o.Jobs {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range queue {
				if ctx.Err() != nil || errs[job] != nil {
					return
				}
				errs[job] = e.one(ctx, i, job, step)
			}
		}()
	}
	wg.Wait()
	return errors.Join(errs...)
}

// one does a run, until it has done some steps if until is not 0.
func (e *execution) one(ctx context.Context, i, job, until int) error {
	run := e.plan.Runs[i]
	if err := e.record.update(func(f *recordFile) {
		f.Runs[i] = Status{Name: run.Name, State: Running, Seconds: f.Runs[i].Seconds}
	}); err != nil {
		return err
	}
	e.watch.begin(i)
	began := time.Now()
	end, err := e.process(ctx, run, job, until)
	if err != nil {
		end = Status{State: Failed, Message: err.Error()}
	}
	if end.State == Failed || end.State == Diverged {
		e.mu.Lock()
		e.tried[i] = true
		e.mu.Unlock()
	}
	e.watch.end(i, end)
	return e.record.update(func(f *recordFile) {
		s := &f.Runs[i]
		s.State, s.Code, s.Message = end.State, end.Code, end.Message
		s.Seconds += time.Since(began).Seconds()
	})
}

// process starts a run's process, waits for it and says what became of it.
func (e *execution) process(ctx context.Context, run Run, job, until int) (Status, error) {
	if err := os.MkdirAll(run.Config.Out, 0o755); err != nil {
		return Status{}, err
	}
	said, err := os.OpenFile(filepath.Join(run.Config.Out, runlog.OutputFile), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return Status{}, err
	}
	defer said.Close()
	before, err := said.Seek(0, io.SeekEnd)
	if err != nil {
		return Status{}, err
	}
	if err := e.untilFree(ctx, run); err != nil {
		return Status{State: Interrupted, Code: cli.TryAgain}, nil
	}
	line := e.o.line(e.plan, run, job)
	fmt.Fprintf(said, "# %s: %s\n", time.Now().Format(time.DateTime), strings.Join(line, " "))
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is the sweep's to pass on
	alive, err := cmd.StdinPipe()                         // which ends with the sweep, however that ends
	if err != nil {
		return Status{}, err
	}
	defer alive.Close()
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return Status{}, fmt.Errorf("starting %s: %w", line[0], err)
	}
	paused := wait(ctx, cmd, func() bool { return until > 0 && lastStep(run) >= until })
	s := outcome(cmd.ProcessState)
	if s.State == Interrupted && paused {
		s = Status{State: Paused}
	}
	if s.State == Failed {
		if s.Message, err = lastLines(said, before); err != nil {
			return s, err
		}
		if divergedSince(run.Config.Out, began) {
			s.State = Diverged
		}
	}
	return s, nil
}

// untilFree waits for a process that trains in a run's folder, of a sweep that was killed: it may have to save first.
func (e *execution) untilFree(ctx context.Context, run Run) error {
	for told := false; inUse(run); told = true {
		if !told {
			fmt.Fprintf(e.watch.bar, "%s: waits for another process that is training there\n", run.Name)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
	return nil
}

// inUse says whether a process has locked a run's folder. What else may be wrong with it is for the run to say.
func inUse(run Run) bool {
	f, err := os.OpenFile(filepath.Join(run.Config.Out, lockFile), os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}

// wait waits for a process, which it tells to stop when ctx ends or there is enough of it, and reports whether it was the latter.
func wait(ctx context.Context, cmd *exec.Cmd, enough func() bool) (paused bool) {
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // the process's state says it
		close(ended)
	}()
	// Once: a second signal would end it without saving.
	stop := func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return false
		case <-ctx.Done():
			stop()
			return false
		case <-tick.C:
			if enough() {
				stop()
				return true
			}
		}
	}
}

// lastStep is how many steps a run has done, by its record.
func lastStep(r Run) int {
	s, _ := runlog.Last(filepath.Join(r.Config.Out, runlog.MetricsFile))
	return s.Step
}

// line is a run's command line.
func (o Options) line(p *Plan, run Run, job int) []string {
	line := append(append([]string(nil), o.Train...), "--config", p.ConfigFile(run))
	threads := o.Threads
	if threads == 0 {
		threads = max(1, runtime.NumCPU()/o.Jobs)
	}
	for _, flag := range []struct {
		name string
		set  bool
	}{{"--threads", isSet(run.Config.Threads.Get())}, {"--workers", isSet(run.Config.Workers.Get())}} {
		if !flag.set {
			line = append(line, flag.name, strconv.Itoa(threads))
		}
	}
	if len(o.Devices) > 0 && run.Config.Device == "auto" {
		line = append(line, "--device", o.Devices[job%len(o.Devices)])
	}
	return line
}

func isSet(_ int, set bool) bool { return set }

// outcome is what a process's end says of its run.
func outcome(p *os.ProcessState) Status {
	if w, ok := p.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return Status{State: Killed, Code: 128 + int(w.Signal()), Message: w.Signal().String()}
	}
	code := p.ExitCode()
	switch {
	case code == 0:
		return Status{State: Finished}
	case code == cli.TryAgain:
		return Status{State: Interrupted, Code: code}
	case code > 128:
		return Status{State: Killed, Code: code, Message: syscall.Signal(code - 128).String()}
	}
	return Status{State: Failed, Code: code}
}

// lastLines are the last few lines of what was said from an offset on.
func lastLines(f *os.File, from int64) (string, error) {
	const most = 2000
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return "", err
	}
	from = max(from, size-most)
	text := make([]byte, size-from)
	if _, err := f.ReadAt(text, from); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	lines = lines[max(0, len(lines)-3):]
	return string(bytes.Join(lines, []byte("\n"))), nil
}

// divergedSince says whether a run has saved a step that was not finite.
func divergedSince(out string, began time.Time) bool {
	found, _ := filepath.Glob(filepath.Join(globbed(out), "diverged-*"))
	for _, dir := range found {
		if st, err := os.Stat(dir); err == nil && !st.ModTime().Before(began.Add(-2*time.Second)) { // clocks of file systems are coarse
			return true
		}
	}
	return false
}

// globbed is a path as a pattern that matches only itself.
func globbed(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// lock keeps other sweeps out of a folder for as long as the file is open.
func lock(out string) (*os.File, error) {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, fmt.Errorf("out: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(out, lockFile), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("locking the sweep's folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		f.Close()
		return nil, fmt.Errorf("%s: another process does a sweep there", out)
	}
	return f, nil // some network file systems have no locks
}
