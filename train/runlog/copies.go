package runlog

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/gojepa/gojepa/internal/atomicfile"
	"github.com/gojepa/gojepa/train/runlog/tfevents"
)

// The formats that a record can be kept in besides metrics.jsonl.
const (
	CSV         = "csv"         // metrics.csv, a row for each step, and evaluations.csv, one for each figure of an evaluation
	TensorBoard = "tensorboard" // events.out.tfevents.*: the figures of steps under train/, those of evaluations under eval/
)

// Formats lists them.
func Formats() []string { return []string{CSV, TensorBoard} }

// encoder is a file in another format. What it makes of a record may be nothing.
type encoder interface {
	name() string // of the file
	begin() []byte
	step(Step) []byte
	eval(Eval) []byte
}

// copied is such a file with what writes to it.
type copied struct {
	encoder
	f *os.File
}

// WithTexts has the other formats keep the figures of captions, too. It is called before [Writer.Also].
func (w *Writer) WithTexts() { w.texts = true }

// Also has the writer keep its record in other formats, too, in files of the folder dir. They begin as copies of what
// metrics.jsonl holds, whatever was there, so that a run which goes on has each step once in all of them, even if it had
// fewer formats before. It is called once, after [Open].
func (w *Writer) Also(dir string, formats ...string) error {
	if len(formats) == 0 {
		return nil
	}
	w.dir, w.formats = dir, formats
	kept := figures
	if w.texts {
		kept = slices.Concat(figures, textFigures)
	}
	log, err := Read(w.f.Name())
	if err != nil {
		return err
	}
	for _, format := range formats {
		var files []encoder
		switch format {
		case CSV:
			files = []encoder{stepRows{kept}, evalRows{}}
		case TensorBoard:
			files = []encoder{newEvents(log, w.now(), kept)}
		default:
			return fmt.Errorf("keeping metrics: format %q, expected one of %q", format, Formats())
		}
		for _, e := range files {
			f, err := recreate(filepath.Join(dir, e.name()), e, log)
			if err != nil {
				return fmt.Errorf("keeping metrics as %s: %w", format, err)
			}
			w.copies = append(w.copies, copied{e, f})
		}
	}
	if slices.Contains(formats, TensorBoard) {
		return removeOldEvents(dir, w.copies)
	}
	return nil
}

// renew makes the copies anew.
func (w *Writer) renew() error {
	if err := w.closeCopies(); err != nil {
		return err
	}
	return w.Also(w.dir, w.formats...)
}

func (w *Writer) closeCopies() (err error) {
	for _, c := range w.copies {
		err = errors.Join(err, c.f.Close())
	}
	w.copies = nil
	return err
}

// recreate makes a file anew out of a log, and opens it for what follows.
func recreate(path string, e encoder, log *Log) (*os.File, error) {
	err := atomicfile.Write(path, func(w io.Writer) error {
		_, err := w.Write(e.begin())
		evals := log.Evals
		before := func(step int) { // writes the evaluations that were made before a step
			for len(evals) > 0 && evals[0].Step < step && err == nil {
				_, err = w.Write(e.eval(evals[0]))
				evals = evals[1:]
			}
		}
		for _, s := range log.Steps {
			if before(s.Step); err == nil {
				_, err = w.Write(e.step(s))
			}
		}
		before(math.MaxInt)
		return err
	})
	if err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0o644)
}

// stepFigure is a figure of a step, by its name in metrics.jsonl.
type stepFigure struct {
	name string
	of   func(Step) float64
}

// figures are what is kept of a step besides its number.
var figures = []stepFigure{
	{"epoch", func(s Step) float64 { return s.Epoch }},
	{"loss", func(s Step) float64 { return s.Loss }},
	{"prediction", func(s Step) float64 { return s.Prediction }},
	{"sigreg", func(s Step) float64 { return s.SIGReg }},
	{"sigreg_se", func(s Step) float64 { return s.SIGRegSE }},
	{"sigreg_expected", func(s Step) float64 { return s.SIGRegExpected }},
	{"lr", func(s Step) float64 { return s.LR }},
	{"grad_norm", func(s Step) float64 { return s.GradNorm }},
	{"images_per_s", func(s Step) float64 { return s.ImagesPerS }},
	{"wait_share", func(s Step) float64 { return s.WaitShare }},
	{"seconds", func(s Step) float64 { return s.Seconds }},
}

// textFigures are what is kept besides of a step on captions, too.
var textFigures = []stepFigure{
	{"captions", func(s Step) float64 { return float64(s.texts().Captions) }},
	{"text_prediction", func(s Step) float64 { return s.texts().Prediction }},
	{"text_sigreg", func(s Step) float64 { return s.texts().SIGReg }},
}

// texts are the figures of captions, of none where there are none.
func (s Step) texts() Texts {
	if s.Texts == nil {
		return Texts{Prediction: math.NaN(), SIGReg: math.NaN()}
	}
	return *s.Texts
}

// stepRows is metrics.csv.
type stepRows struct{ figures []stepFigure }

func (stepRows) name() string     { return "metrics.csv" }
func (stepRows) eval(Eval) []byte { return nil }

func (r stepRows) begin() []byte {
	cells := []string{"step"}
	for _, f := range r.figures {
		cells = append(cells, f.name)
	}
	return row(cells...)
}

func (r stepRows) step(s Step) []byte {
	cells := []string{strconv.Itoa(s.Step)}
	for _, f := range r.figures {
		cells = append(cells, cell(f.of(s)))
	}
	return row(cells...)
}

// evalRows is evaluations.csv.
type evalRows struct{}

func (evalRows) name() string     { return "evaluations.csv" }
func (evalRows) step(Step) []byte { return nil }
func (evalRows) begin() []byte    { return row("step", "epoch", "name", "value") }

func (evalRows) eval(e Eval) (rows []byte) {
	for _, v := range e.figures() {
		rows = append(rows, row(strconv.Itoa(e.Step), cell(e.Epoch), v.name, cell(v.value))...)
	}
	return rows
}

// named is a figure of an evaluation.
type named struct {
	name  string
	value float64
}

// figures are those of an evaluation, by name, and what it cost.
func (e Eval) figures() (all []named) {
	for _, name := range slices.Sorted(maps.Keys(e.Values)) {
		all = append(all, named{name, e.Values[name]})
	}
	if e.Seconds != 0 {
		all = append(all, named{"seconds", e.Seconds}, named{"share", e.Share})
	}
	return all
}

// cell is a figure as text, and empty where it is not finite.
func cell(x float64) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return ""
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}

func row(cells ...string) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write(cells) // to memory
	w.Flush()
	return b.Bytes()
}

// events is TensorBoard's file. Its records have a time, which metrics.jsonl has as seconds of training: those of the past
// are given the times at which they were, had the run not been interrupted.
type events struct {
	figures []stepFigure
	opened  time.Time
	before  float64 // seconds of training when it was
	last    float64 // of the last step
}

func newEvents(log *Log, now time.Time, kept []stepFigure) *events {
	e := &events{figures: kept, opened: now}
	if n := len(log.Steps); n > 0 {
		e.before = log.Steps[n-1].Seconds
	}
	return e
}

const eventsPattern = "events.out.tfevents.*.gojepa"

func (e *events) name() string {
	return fmt.Sprintf("events.out.tfevents.%010d.%09d.gojepa", e.opened.Unix(), e.opened.Nanosecond())
}

func (e *events) at() time.Time {
	return e.opened.Add(time.Duration((e.last - e.before) * float64(time.Second)))
}

func (e *events) begin() []byte { return tfevents.AppendStart(nil, e.opened) }

func (e *events) step(s Step) []byte {
	e.last = s.Seconds
	var all []tfevents.Scalar
	for _, f := range e.figures {
		all = append(all, tfevents.Scalar{Tag: "train/" + f.name, Value: f.of(s)})
	}
	return tfevents.AppendScalars(nil, e.at(), int64(s.Step), all)
}

func (e *events) eval(v Eval) []byte {
	var all []tfevents.Scalar
	for _, f := range v.figures() {
		all = append(all, tfevents.Scalar{Tag: "eval/" + f.name, Value: f.value})
	}
	return tfevents.AppendScalars(nil, e.at(), int64(v.Step), all)
}

// removeOldEvents leaves one file of events in a folder: TensorBoard would show the steps of all. A TensorBoard that runs
// holds the file that it reads open, and sees the new one begin a session.
func removeOldEvents(dir string, current []copied) error {
	old, err := filepath.Glob(filepath.Join(dir, eventsPattern))
	for _, path := range old {
		if !slices.ContainsFunc(current, func(c copied) bool { return c.f.Name() == path }) {
			err = errors.Join(err, os.Remove(path))
		}
	}
	if err != nil {
		return fmt.Errorf("keeping metrics as %s: %w", TensorBoard, err)
	}
	return nil
}
