package sweep

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/gojepa/gojepa/internal/atomicfile"
)

// State is how far a run of a sweep is.
type State string

// The states of a run. Those that are Waiting, Running, Interrupted or Killed are done or gone on with when the same sweep is
// started again; Failed and Diverged ones if it is asked for.
const (
	Waiting     State = "waiting"
	Running     State = "running" // or its sweep was killed
	Finished    State = "finished"
	Failed      State = "failed"
	Diverged    State = "diverged"    // loss or gradient were not finite
	Interrupted State = "interrupted" // told to stop, and saved
	Killed      State = "killed"      // ended by a signal
	Stopped     State = "stopped"     // by the sweep's rule for early stopping
)

// Status is the record of a run in sweep.json.
type Status struct {
	Name    string  `json:"name"`
	State   State   `json:"state"`
	Code    int     `json:"code,omitempty"`    // exit code, or 128 and the number of the signal
	Seconds float64 `json:"seconds,omitempty"` // of the last session
	Message string  `json:"message,omitempty"` // the last that a run which failed has said
	Rung    int     `json:"rung,omitempty"`    // decisions of early stopping that it has outlived
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

// record is the states of all runs, kept in sweep.json.
type record struct {
	mu   sync.Mutex
	path string
	runs []Status
}

// openRecord reads what is known of the plan's runs.
func openRecord(p *Plan) (*record, error) {
	r := &record{path: filepath.Join(p.Out, stateFile)}
	before, err := ReadStatus(p.Out)
	if err != nil {
		return nil, err
	}
	known := map[string]Status{}
	for _, s := range before {
		known[s.Name] = s
	}
	for _, run := range p.Runs {
		s, ok := known[run.Name]
		if !ok {
			s = Status{Name: run.Name, State: Waiting}
		}
		r.runs = append(r.runs, s)
	}
	return r, nil
}

// ReadStatus reads how far the runs of the sweep in a folder are; nil if none was begun.
func ReadStatus(out string) ([]Status, error) {
	path := filepath.Join(out, stateFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the sweep's record: %w", err)
	}
	var file struct {
		Runs []Status `json:"runs"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("reading the sweep's record: %s: %w", path, err)
	}
	return file.Runs, nil
}

// update changes the state of a run and writes the record.
func (r *record) update(i int, change func(*Status)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.runs[i])
	if err := atomicfile.Write(r.path, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(map[string]any{"runs": r.runs})
	}); err != nil {
		return fmt.Errorf("writing the sweep's record: %w", err)
	}
	return nil
}

// all is a copy of the states.
func (r *record) all() []Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Status(nil), r.runs...)
}
