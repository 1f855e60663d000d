package config

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gojepa/gojepa/internal/fields"
)

// auto is how a value that is left open is written.
const auto = "auto"

// Auto is a number that may be left open, as its zero value is: then the program works it out.
type Auto[T int | float64] struct {
	set   bool
	value T
}

// Of returns a number that is not open.
func Of[T int | float64](value T) Auto[T] { return Auto[T]{true, value} }

// Get returns the number, and false if it is open.
func (a Auto[T]) Get() (T, bool) { return a.value, a.set }

// Or returns the number, or another if it is open.
func (a Auto[T]) Or(other T) T {
	if !a.set {
		return other
	}
	return a.value
}

// UnmarshalText reads a number or "auto".
func (a *Auto[T]) UnmarshalText(text []byte) error {
	*a = Auto[T]{}
	if string(text) == auto {
		return nil
	}
	a.set = true
	var err error
	switch v := any(&a.value).(type) {
	case *int:
		var n int64
		if n, err = fields.ParseInt(string(text)); err == nil {
			*v = int(n)
		}
	case *float64:
		*v, err = fields.ParseFloat(string(text))
	}
	if err != nil {
		return fmt.Errorf("%w or auto", err)
	}
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (a Auto[T]) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// String is the number, or "auto".
func (a Auto[T]) String() string {
	if !a.set {
		return auto
	}
	return number(float64(a.value))
}

func number(x float64) string {
	return strings.Replace(strconv.FormatFloat(x, 'g', -1, 64), "e-0", "e-", 1)
}

// AutoList is a list of numbers that may be left open, as its zero value is.
type AutoList struct {
	set    bool
	values []float64
}

// ListOf returns a list that is not open.
func ListOf(values ...float64) AutoList { return AutoList{true, slices.Clone(values)} }

// Get returns the numbers, and false if they are open.
func (a AutoList) Get() ([]float64, bool) { return slices.Clone(a.values), a.set }

// UnmarshalText reads numbers separated by commas, or "auto".
func (a *AutoList) UnmarshalText(text []byte) error {
	*a = AutoList{}
	if string(text) == auto {
		return nil
	}
	for _, item := range strings.Split(string(text), ",") {
		x, err := fields.ParseFloat(strings.TrimSpace(item))
		if err != nil {
			return fmt.Errorf("%q is not auto or numbers separated by commas: %w", text, err)
		}
		a.values = append(a.values, x)
	}
	a.set = true
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (a AutoList) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// String is the numbers separated by commas, or "auto".
func (a AutoList) String() string {
	if !a.set {
		return auto
	}
	items := make([]string, len(a.values))
	for i, x := range a.values {
		items[i] = number(x)
	}
	return strings.Join(items, ",")
}

func countOf(n int) string {
	if n == 1 {
		return "one value, for the one channel"
	}
	return fmt.Sprintf("%d values, one for each channel", n)
}

const (
	never = "never"
	none  = "none"
)

// defaultCheckpointEvery is little to lose, and much longer than writing a checkpoint takes.
const defaultCheckpointEvery = 10 * time.Minute

// Every says how often something is done. At most one of its fields is above 0; if none is, never.
type Every struct {
	Steps  int
	Epochs int
	Time   time.Duration
	Share  float64 // of the time, up to 1: as often as what it takes allows, which is for the caller to measure
}

// autoShare is of the time that "auto" may take.
const autoShare = 0.05

// Due says whether it is time, after the given number of steps in all and the given time since it was last done. It does
// not know of shares, for which it is false.
func (e Every) Due(step, stepsPerEpoch int, since time.Duration) bool {
	switch {
	case e.Steps > 0:
		return step%e.Steps == 0
	case e.Epochs > 0:
		return step%(e.Epochs*stepsPerEpoch) == 0
	case e.Time > 0:
		return since >= e.Time
	}
	return false
}

// UnmarshalText reads "never", "500", "500steps", "2epochs", a time such as "10m", "2%" of the time, or "auto", which is 5 %.
func (e *Every) UnmarshalText(b []byte) error {
	text := string(b)
	*e = Every{}
	if text == never || text == "0" {
		return nil
	}
	if text == auto {
		e.Share = autoShare
		return nil
	}
	if percent, ok := strings.CutSuffix(text, "%"); ok {
		if x, err := fields.ParseFloat(strings.TrimSpace(percent)); err == nil && x > 0 && x <= 100 {
			e.Share = x / 100
			return nil
		}
	}
	count, unit := text, &e.Steps
	for _, suffix := range []string{"steps", "step"} {
		count = strings.TrimSuffix(count, suffix)
	}
	for _, suffix := range []string{"epochs", "epoch"} {
		if c, ok := strings.CutSuffix(text, suffix); ok {
			count, unit = c, &e.Epochs
		}
	}
	if n, err := fields.ParseInt(strings.TrimSpace(count)); err == nil && n > 0 {
		*unit = int(n)
		return nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		e.Time = d
		return nil
	}
	return fmt.Errorf("%q is not how often: expected never, 500 (steps), 2epochs, a time such as 10m, or 2%% of the time", text)
}

// MarshalText writes what UnmarshalText reads.
func (e Every) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// String is "never", "500", "2epochs", "10m", "2%" or "auto".
func (e Every) String() string {
	switch {
	case e.Steps > 0:
		return strconv.Itoa(e.Steps)
	case e.Epochs == 1:
		return "1epoch"
	case e.Epochs > 1:
		return fmt.Sprintf("%depochs", e.Epochs)
	case e.Time > 0:
		text := e.Time.String()
		if strings.HasSuffix(text, "m0s") {
			text = strings.TrimSuffix(text, "0s")
		}
		if strings.HasSuffix(text, "h0m") {
			text = strings.TrimSuffix(text, "0m")
		}
		return text
	case e.Share == autoShare:
		return auto
	case e.Share > 0:
		return number(100*e.Share) + "%"
	}
	return never
}

// Profile names the steps that are profiled. Its zero value is none.
type Profile struct {
	First, Last int  // as metrics.jsonl counts them, 1 being the first
	Auto        bool // some soon after the beginning, which the run chooses
}

// UnmarshalText reads "none", "auto", "100:105", both of which are profiled, or "100", a single step.
func (p *Profile) UnmarshalText(b []byte) error {
	*p = Profile{}
	text := string(b)
	switch text {
	case none:
		return nil
	case auto:
		p.Auto = true
		return nil
	}
	from, to, several := strings.Cut(text, ":")
	if !several {
		to = from
	}
	first, err1 := fields.ParseInt(strings.TrimSpace(from))
	last, err2 := fields.ParseInt(strings.TrimSpace(to))
	if err1 != nil || err2 != nil || first < 1 || last < first || last > math.MaxInt32 {
		return fmt.Errorf("%q names no steps: expected FIRST:LAST, such as 100:105, with 1 as the first of a run, or one step, auto or none", text)
	}
	*p = Profile{First: int(first), Last: int(last)}
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (p Profile) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// String is "none", "auto", "100:105" or "100".
func (p Profile) String() string {
	switch {
	case p.Auto:
		return auto
	case p.First == 0:
		return none
	case p.First == p.Last:
		return strconv.Itoa(p.First)
	}
	return fmt.Sprintf("%d:%d", p.First, p.Last)
}

// Length is a part of a run, in one of three units. Its zero is open, as Auto's is.
type Length struct {
	set    bool
	count  float64
	suffix string // one of the units
}

// The units of a Length, as they are written. Steps have none.
const (
	inSteps  = ""
	inEpochs = "epochs"
	inImages = "images"
)

// StepsOf returns a length that is not open.
func StepsOf(n int) Length { return Length{set: true, count: float64(n)} }

// EpochsOf returns a length in passes over the images, which need not be whole.
func EpochsOf(n float64) Length { return Length{true, n, inEpochs} }

// ImagesOf returns a length in images.
func ImagesOf(n int) Length { return Length{true, float64(n), inImages} }

// Steps is the length in steps of batch images, of which stepsPerEpoch are an epoch, rounded to whole ones. It is 0 if the
// length is open.
func (l Length) Steps(batch, stepsPerEpoch int) int {
	n := l.count
	switch l.suffix {
	case inEpochs:
		n *= float64(stepsPerEpoch)
	case inImages:
		n /= float64(max(1, batch))
	}
	return int(min(math.Round(n), math.MaxInt32)) // more than any run has
}

// UnmarshalText reads "auto", "500", "500steps", "2epochs", "0.5epochs" or "100000images".
func (l *Length) UnmarshalText(b []byte) error {
	*l = Length{}
	text := string(b)
	if text == auto {
		return nil
	}
	count, unit := text, inSteps
	for _, u := range []struct{ plural, unit string }{{"steps", inSteps}, {inEpochs, inEpochs}, {inImages, inImages}} {
		for _, word := range []string{u.plural, strings.TrimSuffix(u.plural, "s")} {
			if c, ok := strings.CutSuffix(text, word); ok {
				count, unit = strings.TrimSpace(c), u.unit
			}
		}
	}
	x, err := fields.ParseFloat(count)
	if err != nil || x < 0 || unit != inEpochs && x != math.Trunc(x) {
		return fmt.Errorf("%q is not how long: expected 500 (steps), 2epochs, 100000images or auto", text)
	}
	*l = Length{true, x, unit}
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (l Length) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// String is "500", "2epochs", "100000images" or "auto".
func (l Length) String() string {
	if !l.set {
		return auto
	}
	unit := l.suffix
	if l.count == 1 {
		unit = strings.TrimSuffix(unit, "s")
	}
	return strconv.FormatFloat(l.count, 'f', -1, 64) + unit
}

// Clip is a limit on the gradients' norm. The zero value is no limit.
type Clip struct {
	On   bool
	Norm float64
}

// UnmarshalText reads a number or "none".
func (c *Clip) UnmarshalText(text []byte) error {
	*c = Clip{}
	if string(text) == none {
		return nil
	}
	x, err := fields.ParseFloat(string(text))
	if err != nil {
		return fmt.Errorf("%w or none", err)
	}
	*c = Clip{On: true, Norm: x}
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (c Clip) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// String is the limit, or "none".
func (c Clip) String() string {
	if !c.On {
		return none
	}
	return number(c.Norm)
}
