package config

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gojepa/gojepa/internal/fields"
)

// Difference is a value that two configurations do not share.
type Difference struct {
	Key      string // "optim.lr"
	Old, New string // as in YAML
	Matters  bool   // a run with the one cannot be resumed with the other
}

// Differences lists the values in which a configuration differs from the one that a run was made with. Both should be
// resolved. Where a run computes, what it writes and how often may change when it is resumed, and a run may be made
// longer; what it learns from and how may not.
func Differences(old, new Config) []Difference {
	var all []Difference
	was := fields.Of(&old)
	for i, f := range fields.Of(&new) {
		if before, now := was[i].String(), f.String(); before != now && !(f.Path == "data.path" && samePath(before, now)) {
			all = append(all, Difference{f.Path, before, now, matters(f.Tag.Get("resume"), before, now)})
		}
	}
	return all
}

// matters says whether a change stands in the way of resuming, by the field's resume tag.
func matters(tag, before, now string) bool {
	switch tag {
	case "free":
		return false
	case "longer":
		a, errA := strconv.Atoi(before)
		b, errB := strconv.Atoi(now)
		return errA == nil && errB == nil && b < a // one of them is open if epochs took the place of steps
	}
	return true
}

// samePath says whether two paths name one folder: the working directory may not be the one of the first session.
func samePath(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	absA, errA := filepath.Abs(a)
	absB, errB := filepath.Abs(b)
	return errA == nil && errB == nil && absA == absB
}

// MismatchError says that a run cannot be resumed, because it was made with another configuration.
type MismatchError struct {
	Out         string       // the run's folder
	Differences []Difference // those that matter
}

// Error names every value that differs, one a line.
func (e *MismatchError) Error() string {
	lines := []string{fmt.Sprintf("%s holds a run of another configuration: give another --out, or what it was made with", e.Out)}
	for _, d := range e.Differences {
		lines = append(lines, fmt.Sprintf("%s: %s here, %s in that run", d.Key, shown(d.New), shown(d.Old)))
	}
	return strings.Join(lines, "\n")
}

func shown(value string) string {
	if value == "" {
		return `""`
	}
	return value
}

// CheckResume returns a *MismatchError if a run in the folder out, made with the configuration old, cannot be resumed
// with the configuration new. Both should be resolved.
func CheckResume(out string, old, new Config) error {
	e := &MismatchError{Out: out}
	for _, d := range Differences(old, new) {
		if d.Matters {
			e.Differences = append(e.Differences, d)
		}
	}
	if len(e.Differences) == 0 {
		return nil
	}
	return e
}

// Adopt returns the configuration with its open values taken from a run that is to be resumed, so that the same command
// goes on with the same run, also on a machine where "auto" would mean something else. What is not part of a run, such
// as the device, stays open.
func (c Config) Adopt(run Config) Config {
	open := c.Schedule
	from := fields.Of(&run)
	for i, f := range fields.Of(&c) {
		if f.String() != auto || f.Tag.Get("resume") == "free" || f.Path == "data.path" {
			continue
		}
		if err := f.Set(from[i].String()); err != nil {
			panic(fmt.Sprintf("config: %s is %s in one configuration and cannot be so in another: %v", f.Path, from[i], err))
		}
	}
	// One of the two says how long to train. If it was given now, the run's own choice does not count.
	if _, given := open.Epochs.Get(); given {
		c.Schedule.Steps = open.Steps
	}
	if _, given := open.Steps.Get(); given {
		c.Schedule.Epochs = open.Epochs
	}
	return c
}
