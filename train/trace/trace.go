// Package trace is where the time of some steps went: a Chrome trace, JSON that chrome://tracing and Perfetto show, of what libtorch
// noted and of spans that Go did, and tables of what took longest.
package trace

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/gojepa/gojepa/internal/atomicfile"
)

// Recorder gathers spans of Go code while it is on. Its zero value is off. It may be used from many goroutines.
type Recorder struct {
	mu    sync.Mutex
	on    bool
	spans []span
}

// span is a part of the work of a lane, a row of the picture.
type span struct {
	lane, name   string
	began, ended time.Time
}

// Start begins anew.
func (r *Recorder) Start() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on, r.spans = true, nil
}

// Stop forgets what was gathered.
func (r *Recorder) Stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on, r.spans = false, nil
}

// Add adds a span of a lane. Those of one lane lie within each other or apart.
func (r *Recorder) Add(lane, name string, began, ended time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.on {
		r.spans = append(r.spans, span{lane, name, began, ended})
	}
}

// Span begins a span of a lane, which ends when the function returned is called.
func (r *Recorder) Span(lane, name string) (end func()) {
	began := time.Now()
	return func() { r.Add(lane, name, began, time.Now()) }
}

// The process that Go's spans are shown as, and their category.
const (
	goProcess  = 1
	goCategory = "go_span"
)

// event is an event of a trace, as far as it matters here: https://www.chromium.org/developers/how-tos/trace-event-profiling-tool
type event struct {
	Phase    string         `json:"ph"`
	Category string         `json:"cat,omitempty"`
	Name     string         `json:"name"`
	Process  any            `json:"pid"`
	Thread   any            `json:"tid"`
	At       float64        `json:"ts"`            // µs
	Duration float64        `json:"dur,omitempty"` // µs
	Args     map[string]any `json:"args,omitempty"`
}

func (e event) end() float64 { return e.At + e.Duration }

// file is a trace with all that it holds.
type file struct {
	rest   map[string]json.RawMessage // besides the events
	raw    []json.RawMessage
	events []event // in the order of raw
}

const eventsKey = "traceEvents"

func read(path string) (*file, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading a trace: %w", err)
	}
	f := &file{}
	if err := json.Unmarshal(text, &f.rest); err != nil {
		return nil, fmt.Errorf("%s: reading a trace: %w", path, err)
	}
	if err := json.Unmarshal(f.rest[eventsKey], &f.raw); err != nil {
		return nil, fmt.Errorf("%s: reading a trace: %s: %w", path, eventsKey, err)
	}
	delete(f.rest, eventsKey)
	f.events = make([]event, len(f.raw))
	for i, e := range f.raw {
		if err := json.Unmarshal(e, &f.events[i]); err != nil {
			return nil, fmt.Errorf("%s: reading a trace: event %d: %w", path, i, err)
		}
	}
	return f, nil
}

// Merge writes to path the trace that libtorch wrote to from, with the spans that r has gathered. marker is the name of a span in it
// that began, by Go's clock, at began.
func (r *Recorder) Merge(path, from, marker string, began time.Time) error {
	f, err := read(from)
	if err != nil {
		return err
	}
	start, found := 0.0, false
	for _, e := range f.events {
		if e.Phase == "X" && e.Name == marker {
			start, found = e.At, true
			break
		}
	}
	if !found {
		return fmt.Errorf("%s: merging traces: no span %q", from, marker)
	}
	r.mu.Lock()
	spans := r.spans
	r.mu.Unlock()
	add := func(e event) error {
		text, err := json.Marshal(e)
		f.raw = append(f.raw, text)
		return err
	}
	err = add(event{Phase: "M", Name: "process_name", Process: goProcess, Thread: 0, Args: map[string]any{"name": "run"}})
	lanes := map[string]int{}
	for _, s := range spans {
		if err != nil {
			break
		}
		lane, known := lanes[s.lane]
		if !known {
			lane = len(lanes) + 1
			lanes[s.lane] = lane
			err = add(event{Phase: "M", Name: "thread_name", Process: goProcess, Thread: lane, Args: map[string]any{"name": s.lane}})
		}
		if err == nil {
			at := start + microseconds(s.began.Sub(began))
			err = add(event{Phase: "X", Category: goCategory, Name: s.name, Process: goProcess, Thread: lane, At: at, Duration: microseconds(s.ended.Sub(s.began))})
		}
	}
	if err != nil {
		return fmt.Errorf("merging traces: %w", err)
	}
	delete(f.rest, "traceName") // where libtorch wrote it
	if f.rest[eventsKey], err = json.Marshal(f.raw); err != nil {
		return fmt.Errorf("merging traces: %w", err)
	}
	if err := atomicfile.Write(path, func(w io.Writer) error { return json.NewEncoder(w).Encode(f.rest) }); err != nil {
		return fmt.Errorf("writing a trace: %w", err)
	}
	return nil
}

func microseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }
