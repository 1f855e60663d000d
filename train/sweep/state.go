package sweep

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/gojepa/gojepa/internal/atomicfile"
)

// State is how far a run of a sweep is.
type State string

// The states of a run. Those that are Waiting, Running, Interrupted, Killed or Paused are done or gone on with when the same sweep is
// started again; Failed and Diverged ones if it is asked for.
const (
	Waiting     State = "waiting"
	Running     State = "running" // or its sweep was killed
	Finished    State = "finished"
	Failed      State = "failed"
	Diverged    State = "diverged"    // loss or gradient were not finite
	Interrupted State = "interrupted" // told to stop, and saved
	Killed      State = "killed"      // ended by a signal
	Paused      State = "paused"      // saved, until it is compared with the others
	Stopped     State = "stopped"     // by the sweep's rule for early stopping
)

// Status is the record of a run in sweep.json.
type Status struct {
	Name    string  `json:"name"`
	State   State   `json:"state"`
	Code    int     `json:"code,omitempty"`    // exit code, or 128 and the number of the signal
	Seconds float64 `json:"seconds,omitempty"` // over all its sessions, starting and evaluating included
	Message string  `json:"message,omitempty"` // the last that a run which failed has said
}

// open says whether there is something to be done.
func (s Status) open(retry bool) bool {
	switch s.State {
	case Finished, Stopped:
		return false
	case Failed, Diverged:
		return retry
	}
	return true
}

// recordFile is sweep.json.
type recordFile struct {
	Runs      []Status `json:"runs"`
	Decisions int      `json:"decisions"` // of early stopping that were made
}

// record is the states of all runs, kept in sweep.json.
type record struct {
	mu   sync.Mutex
	path string
	file recordFile
}

// openRecord reads what is known of the plan's runs.
func openRecord(p *Plan) (*record, error) {
	r := &record{path: filepath.Join(p.Out, stateFile)}
	before, err := readRecord(r.path)
	if err != nil {
		return nil, err
	}
	r.file.Decisions = before.Decisions
	known := map[string]Status{}
	for _, s := range before.Runs {
		known[s.Name] = s
	}
	for _, run := range p.Runs {
		s, ok := known[run.Name]
		if !ok {
			s = Status{Name: run.Name, State: Waiting}
		}
		r.file.Runs = append(r.file.Runs, s)
	}
	return r, nil
}

// ReadStatus reads how far the runs of the sweep in a folder are; nil if none was begun.
func ReadStatus(out string) ([]Status, error) {
	file, err := readRecord(filepath.Join(out, stateFile))
	return file.Runs, err
}

func readRecord(path string) (file recordFile, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return file, nil
	}
	if err != nil {
		return file, fmt.Errorf("reading the sweep's record: %w", err)
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return file, fmt.Errorf("reading the sweep's record: %s: %w", path, err)
	}
	return file, nil
}

// update changes the record and writes it.
func (r *record) update(change func(f *recordFile)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.file)
	if err := atomicfile.Write(r.path, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r.file)
	}); err != nil {
		return fmt.Errorf("writing the sweep's record: %w", err)
	}
	return nil
}

func (r *record) decisions() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.file.Decisions
}

// all is a copy of the states.
func (r *record) all() []Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.file.Runs)
}
