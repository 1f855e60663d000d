package trace

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Summary is what of a trace took how long.
type Summary struct {
	Path  string        // of the trace
	Steps string        // that it is of, such as "11 to 15"; "" if it does not say
	Whole time.Duration // that the profile lasted

	Spans      []Row // of the run, of libtorch's threads and of the workers, each in the order in which they first began
	Operations []Row // of the CPU, the most expensive first: times are those of an operation without the ones that it calls
	Kernels    []Row // of the device, likewise; none on a CPU
}

// Row is all that has one name.
type Row struct {
	Name  string
	Lanes int // rows of the picture that it is in: threads, or goroutines
	Calls int
	Time  time.Duration // of all calls
	Share float64       // of the profile's time on all its lanes; of an operation or a kernel, of the time of all
	Depth int           // spans of one lane that it lies in
}

// most is how many operations a summary has.
const most = 10

// Summarise reads a trace that [Recorder.Merge] wrote. marker is the name of the span that lasts as long as the profile.
func Summarise(path, marker string) (*Summary, error) {
	f, err := read(path)
	if err != nil {
		return nil, err
	}
	s := &Summary{Path: path}
	var spans, operations, kernels []event
	for _, e := range f.events {
		if e.Phase != "X" {
			continue
		}
		switch e.Category {
		case "user_annotation", goCategory:
			if e.Name == marker {
				s.Whole = duration(e.Duration)
				continue
			}
			spans = append(spans, e)
		case "cpu_op":
			operations = append(operations, e)
		case "kernel", "gpu_memcpy", "gpu_memset":
			kernels = append(kernels, e)
		}
	}
	s.Steps = stepsOf(spans)
	s.Spans = s.spans(spans)
	s.Operations = expensive(operations)
	s.Kernels = expensive(kernels)
	return s, nil
}

func duration(µs float64) time.Duration { return time.Duration(µs * 1000) }

// stepName is what the span of a step is called.
const stepName = "step "

// StepSpan is the name of a step's span.
func StepSpan(step int) string { return fmt.Sprint(stepName, step) }

// stepsOf are the steps that have spans.
func stepsOf(spans []event) string {
	first, last := "", ""
	for _, e := range spans {
		if n, ok := strings.CutPrefix(e.Name, stepName); ok && e.Category == goCategory {
			if first == "" {
				first = n
			}
			last = n
		}
	}
	if first == last {
		return first
	}
	return first + " to " + last
}

// thread is a row of the picture.
type thread struct{ process, thread string }

func (e event) lane() thread { return thread{fmt.Sprint(e.Process), fmt.Sprint(e.Thread)} }

// nested calls use for all events, each with the ones of its lane that it lies in, the outermost first.
func nested(events []event, use func(e *event, outer []*event)) {
	lanes := map[thread][]*event{}
	for i := range events {
		lane := events[i].lane()
		lanes[lane] = append(lanes[lane], &events[i])
	}
	for _, lane := range lanes {
		slices.SortStableFunc(lane, func(a, b *event) int {
			return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(b.Duration, a.Duration))
		})
		var outer []*event
		for _, e := range lane {
			for len(outer) > 0 && outer[len(outer)-1].end() <= e.At {
				outer = outer[:len(outer)-1]
			}
			use(e, outer)
			outer = append(outer, e)
		}
	}
}

// spans sums up by name. Steps count as one name.
func (s *Summary) spans(events []event) []Row {
	rows := map[string]*Row{}
	first := map[string]float64{}
	lanes := map[string]map[thread]bool{}
	groups := map[string]int{} // the run, libtorch, the workers
	run := map[thread]bool{}
	for _, e := range events {
		if e.Category == goCategory && strings.HasPrefix(e.Name, stepName) {
			run[e.lane()] = true
		}
	}
	nested(events, func(e *event, outer []*event) {
		name := e.Name
		if strings.HasPrefix(name, stepName) {
			name = strings.TrimSpace(stepName)
		}
		r := rows[name]
		if r == nil {
			r = &Row{Name: name, Depth: len(outer)}
			rows[name], first[name], lanes[name] = r, e.At, map[thread]bool{}
			switch {
			case e.Category != goCategory:
				groups[name] = 1
			case !run[e.lane()]:
				groups[name] = 2
			}
		}
		first[name] = min(first[name], e.At)
		lanes[name][e.lane()] = true
		r.Calls++
		r.Time += duration(e.Duration)
	})
	var all []Row
	for name, r := range rows {
		r.Lanes = len(lanes[name])
		if s.Whole > 0 {
			r.Share = r.Time.Seconds() / (s.Whole.Seconds() * float64(r.Lanes))
		}
		all = append(all, *r)
	}
	slices.SortFunc(all, func(a, b Row) int {
		return cmp.Or(cmp.Compare(groups[a.Name], groups[b.Name]), cmp.Compare(first[a.Name], first[b.Name]), cmp.Compare(a.Depth, b.Depth), cmp.Compare(a.Name, b.Name))
	})
	return all
}

// expensive sums up by name what events took without the ones that lie in them.
func expensive(events []event) []Row {
	self := map[*event]float64{}
	nested(events, func(e *event, outer []*event) {
		self[e] = e.Duration
		if n := len(outer); n > 0 {
			self[outer[n-1]] -= e.Duration
		}
	})
	rows := map[string]*Row{}
	lanes := map[string]map[thread]bool{}
	var total time.Duration
	for e, µs := range self {
		name := plain(e.Name)
		r := rows[name]
		if r == nil {
			r = &Row{Name: name}
			rows[name], lanes[name] = r, map[thread]bool{}
		}
		lanes[name][e.lane()] = true
		took := duration(max(0, µs)) // libtorch 2.1 rounds to microseconds
		r.Calls++
		r.Time += took
		total += took
	}
	all := make([]Row, 0, len(rows))
	for name, r := range rows {
		r.Lanes = len(lanes[name])
		if total > 0 {
			r.Share = float64(r.Time) / float64(total)
		}
		all = append(all, *r)
	}
	slices.SortFunc(all, func(a, b Row) int { return cmp.Or(cmp.Compare(b.Time, a.Time), cmp.Compare(a.Name, b.Name)) })
	return all[:min(len(all), most)]
}

// plain is an operation's name without what C++ puts around it.
func plain(name string) string {
	const engine = "autograd::engine::evaluate_function: " // around each
	name, within := strings.CutPrefix(name, engine)
	if inner, ok := strings.CutPrefix(name, "torch::autograd::CppNode<"); ok {
		name = strings.TrimPrefix(strings.TrimSuffix(inner, ">"), "(anonymous namespace)::") + " backward"
	}
	if within {
		return engine + name
	}
	return name
}

// Print writes the tables as text.
func (s *Summary) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, table := range s.Tables() {
		fmt.Fprintf(t, "%s\ttime\tcalls\tshare\n", table.Title)
		for _, r := range table.Rows {
			fmt.Fprintf(t, "%s%s\t%s\t%d\t%s\n", strings.Repeat("  ", r.Depth), r.Title(), r.Took(), r.Calls, r.Percent())
		}
	}
	return t.Flush()
}

// Table is some rows of one kind.
type Table struct {
	Title string
	Rows  []Row
}

// Tables are those of a summary that have rows.
func (s *Summary) Tables() (all []Table) {
	for _, t := range []Table{{"span", s.Spans}, {"operation", s.Operations}, {"kernel", s.Kernels}} {
		if len(t.Rows) > 0 {
			all = append(all, t)
		}
	}
	return all
}

// Title is the name, with the number of lanes where they are several.
func (r Row) Title() string {
	if r.Lanes > 1 {
		return fmt.Sprintf("%s (on %d threads)", r.Name, r.Lanes)
	}
	return r.Name
}

// Took is the time as text.
func (r Row) Took() string { return fmt.Sprintf("%.1f ms", r.Time.Seconds()*1000) }

// Percent is the share as text.
func (r Row) Percent() string { return fmt.Sprintf("%.1f %%", 100*r.Share) }
