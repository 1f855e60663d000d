package sweep

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gojepa/gojepa/internal/atomicfile"
	"github.com/gojepa/gojepa/train/config"
)

// What a sweep's folder holds besides the folders of its runs.
const (
	planFile  = "plan.yaml"  // the runs and what each has of its own
	planDir   = "plan"       // NAME.yaml, the whole configuration of each run
	stateFile = "sweep.json" // how far they are
	lockFile  = ".lock"
)

// reserved are names that no run may have.
var reserved = []string{planDir, planFile, stateFile, "base"}

// planned is plan.yaml.
type planned struct {
	Stop *Stop        `yaml:"stop,omitempty"`
	Runs []plannedRun `yaml:"runs"`
}

type plannedRun struct {
	Name string    `yaml:"name"`
	Set  yaml.Node `yaml:"set"`
}

// ConfigFile is where a run's configuration is kept, as it was planned.
func (p *Plan) ConfigFile(r Run) string { return filepath.Join(p.Out, planDir, r.Name+".yaml") }

// ChangedError says that a sweep's folder holds another plan.
type ChangedError struct {
	Out   string
	Lines []string // one for each difference
	New   bool     // runs are added, and nothing else is changed
}

// Error names what differs and what can be done about it.
func (e *ChangedError) Error() string {
	do := "give another out, or the plan that was made there"
	if e.New {
		do = "--extend adds them to the plan"
	}
	return fmt.Sprintf("%s holds another plan: %s\n%s", e.Out, do, strings.Join(e.Lines, "\n"))
}

// Save writes the plan to its folder, once: plan.yaml and, for each run, its configuration. If the folder has a plan already, it
// must be the same, but for what may change when a run is resumed; otherwise the error is a *[ChangedError]. With extend
// runs may be added.
func (p *Plan) Save(extend bool) error {
	before, err := readPlan(p.Out)
	if err != nil {
		return err
	}
	if before != nil {
		if err := p.check(before, extend); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(p.Out, planDir), 0o755); err != nil {
		return fmt.Errorf("writing the plan: %w", err)
	}
	for _, r := range p.Runs {
		if err := r.Config.Save(p.ConfigFile(r)); err != nil {
			return fmt.Errorf("writing the plan: %w", err)
		}
	}
	text, err := p.encode()
	if err != nil {
		return fmt.Errorf("writing the plan: %w", err)
	}
	path := filepath.Join(p.Out, planFile)
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, text) {
		return nil // its time says when the plan was made
	}
	if err := atomicfile.Write(path, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	}); err != nil {
		return fmt.Errorf("writing the plan: %w", err)
	}
	return nil
}

// encode writes plan.yaml.
func (p *Plan) encode() ([]byte, error) {
	var file planned
	if p.Stop.At != nil {
		file.Stop = &p.Stop
	}
	for _, r := range p.Runs {
		set := yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
		for _, v := range r.Set {
			set.Content = append(set.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: v.Key}, &yaml.Node{Kind: yaml.ScalarNode, Value: v.Value})
		}
		file.Runs = append(file.Runs, plannedRun{r.Name, set})
	}
	text, err := yaml.Marshal(file)
	if err != nil {
		return nil, err
	}
	return append([]byte("# The runs of this sweep, written before the first began. plan/NAME.yaml has each one's whole configuration.\n"), text...), nil
}

// readPlan reads the plan in a folder, nil if it has none.
func readPlan(out string) (*planned, error) {
	path := filepath.Join(out, planFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		entries, err := os.ReadDir(out)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("out: %w", err)
		}
		for _, e := range entries {
			// A plan that was about to be written is no stranger's folder.
			if n := e.Name(); n != planDir && n != lockFile && !strings.HasPrefix(n, "."+planFile) {
				return nil, fmt.Errorf("out: %s has files but no sweep (no %s): give an empty or a new folder", out, planFile)
			}
		}
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the plan: %w", err)
	}
	file := new(planned)
	if err := yaml.Unmarshal(text, file); err != nil {
		return nil, fmt.Errorf("reading the plan: %s: %w", path, err)
	}
	return file, nil
}

// Runs returns the folders of the runs of the sweep in a folder, in the plan's order, or nil if there is no sweep.
func Runs(out string) (dirs []string, err error) {
	if _, err := os.Stat(filepath.Join(out, planFile)); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	before, err := readPlan(out)
	if err != nil {
		return nil, err
	}
	for _, r := range before.Runs {
		dirs = append(dirs, filepath.Join(out, r.Name))
	}
	return dirs, nil
}

// check compares the plan with the one that the folder has.
func (p *Plan) check(before *planned, extend bool) error {
	e := &ChangedError{Out: p.Out, New: true}
	var stop Stop
	if before.Stop != nil {
		stop = *before.Stop
	}
	if !reflect.DeepEqual(stop, p.Stop) {
		e.New = false
		e.Lines = append(e.Lines, fmt.Sprintf("stop: %s here, %s there", p.Stop, stop))
	}
	known := map[string]bool{}
	for _, b := range before.Runs {
		name := b.Name
		known[name] = true
		i := slices.IndexFunc(p.Runs, func(r Run) bool { return r.Name == name })
		if i < 0 {
			e.New = false
			e.Lines = append(e.Lines, fmt.Sprintf("%s: planned there, and not any more", name))
			continue
		}
		r := p.Runs[i]
		old, err := config.Load(p.ConfigFile(r))
		if err != nil {
			return fmt.Errorf("reading the plan: %w", err)
		}
		for _, d := range config.Differences(old, r.Config) {
			if d.Matters {
				e.New = false
				e.Lines = append(e.Lines, fmt.Sprintf("%s: %s: %s here, %s there", name, d.Key, d.New, d.Old))
			}
		}
	}
	for _, r := range p.Runs {
		if !known[r.Name] {
			e.Lines = append(e.Lines, fmt.Sprintf("%s: not planned there", r.Name))
		}
	}
	if len(e.Lines) == 0 || e.New && extend {
		return nil
	}
	if most := 10; len(e.Lines) > most {
		e.Lines = append(e.Lines[:most], fmt.Sprintf("and %d more", len(e.Lines)-most))
	}
	return e
}
