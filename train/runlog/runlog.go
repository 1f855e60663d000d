package runlog

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Files in a run's folder that other programs read or write.
const (
	ConfigFile  = "config.yaml"   // the configuration, resolved
	MetricsFile = "metrics.jsonl" // the record
	OutputFile  = "output.log"    // what the run says may be kept in it, by who starts it: it is there before the run
)

// Log is what a metrics.jsonl file holds, in the order of its lines.
type Log struct {
	Steps []Step
	Evals []Eval
	Backs []Back
}

// Read reads a metrics.jsonl file. A last line without its newline, which a crash can leave, is ignored; any other
// line that is no record is an error that names it. The file may still be growing.
func Read(path string) (*Log, error) {
	log := new(Log)
	err := Each(path, func(s Step) { log.Steps = append(log.Steps, s) }, func(e Eval) { log.Evals = append(log.Evals, e) },
		func(b Back) { log.Backs = append(log.Backs, b) })
	if err != nil {
		return nil, err
	}
	return log, nil
}

// Each is Read for files of any length: it hands over one record after the other, in the order of the lines.
func Each(path string, step func(Step), eval func(Eval), back func(Back)) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("reading metrics: %w", err)
	}
	defer f.Close()
	if _, err := scan(f, func(r record, _ int64) bool {
		switch {
		case r.step != nil:
			step(*r.step)
		case r.eval != nil:
			eval(*r.eval)
		default:
			back(*r.back)
		}
		return true
	}); err != nil {
		return fmt.Errorf("reading metrics: %s: %w", path, err)
	}
	return nil
}

// scan calls keep for every whole line of r, with where it begins, until keep says false, and returns the length of what
// was kept.
func scan(r io.Reader, keep func(r record, at int64) bool) (int64, error) {
	br := bufio.NewReader(r)
	var size int64
	for n := 1; ; n++ {
		line, err := br.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return size, nil
		}
		if err != nil {
			return size, err
		}
		if len(bytes.TrimSpace(line)) > 0 {
			r, err := parse(line)
			if err != nil {
				return size, &lineError{n, err}
			}
			if !keep(r, size) {
				return size, nil
			}
		}
		size += int64(len(line))
	}
}

// lineError is what is wrong with a line.
type lineError struct {
	line int
	err  error
}

func (e *lineError) Error() string { return fmt.Sprintf("line %d: %v", e.line, e.err) }
func (e *lineError) Unwrap() error { return e.err }

// Writer appends records to a metrics.jsonl file. Each record is one write, so a run that is killed leaves whole lines
// and at most one half. It is not safe for use by several goroutines at once.
type Writer struct {
	f       *os.File
	size    int64    // length of the whole lines written so far
	eval    last     // evaluation, if the last line is one
	copies  []copied // in other formats
	dir     string   // of the copies
	formats []string
	texts   bool // the copies have the figures of captions
	now     func() time.Time
}

// last is the last line of the file, if it is an evaluation.
type last struct {
	is   bool
	step int
	at   int64 // where it begins
}

// Open opens the file at path for a run that goes on after step `after`, and makes it if there is none. Records of
// later steps, which that run will make again, and a half line at the end are cut off; after = 0 starts over. backs are
// all the steps back that led to the run's state: what is not in the file of them is added, and what is more is cut off.
//
// What is no record is cut off, too, behind the last step that is needed: a file system may leave anything where a machine
// lost its power. Before, it is an error.
func Open(path string, after int, backs ...Back) (*Writer, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening metrics: %w", err)
	}
	w := &Writer{f: f, now: time.Now}
	if err := w.keep(after, backs); err != nil {
		f.Close()
		return nil, fmt.Errorf("opening metrics: %s: %w", path, err)
	}
	return w, nil
}

// keep cuts off what is not of a run's first steps, and adds what is missing of its steps back.
func (w *Writer) keep(after int, backs []Back) (err error) {
	steps := 0
	w.size, err = scan(w.f, func(r record, at int64) bool {
		switch {
		case r.step != nil:
			if r.step.Step > after {
				return false
			}
			steps, w.eval = r.step.Step, last{}
		case r.eval != nil:
			if r.eval.Step > after || after == 0 {
				return false
			}
			w.eval = last{true, r.eval.Step, at}
		default:
			if len(backs) == 0 || *r.back != backs[0] {
				return false
			}
			backs, w.eval = backs[1:], last{}
		}
		return true
	})
	if errors.As(err, new(*lineError)) && steps >= after {
		err = nil
	}
	if err == nil {
		err = w.cut()
	}
	for _, b := range backs {
		if err == nil {
			err = w.append(b.line())
			w.eval = last{}
		}
	}
	return err
}

// cut drops whatever follows the whole lines, and stands behind them.
func (w *Writer) cut() error {
	if err := w.f.Truncate(w.size); err != nil {
		return err
	}
	_, err := w.f.Seek(w.size, io.SeekStart)
	return err
}

// Step appends a record. After an error, a full disk for instance, the file still ends with a whole line and the same
// record can be tried again, unless the error is of one of the copies that [Writer.Also] made.
func (w *Writer) Step(s Step) error {
	if err := w.append(s); err != nil {
		return err
	}
	w.eval = last{}
	return w.copy(func(e encoder) []byte { return e.step(s) })
}

// Eval appends a record, like Step. If the last line is an evaluation after the same step, the record takes its place.
func (w *Writer) Eval(e Eval) error {
	again := w.eval.is && w.eval.step == e.Step
	if again {
		w.size = w.eval.at
		if err := w.cut(); err != nil {
			return fmt.Errorf("writing metrics: %w", err)
		}
	}
	at := w.size
	if err := w.append(e); err != nil {
		return err
	}
	w.eval = last{true, e.Step, at}
	if again {
		return w.renew()
	}
	return w.copy(func(c encoder) []byte { return c.eval(e) })
}

// copy writes a record to the copies.
func (w *Writer) copy(encoded func(encoder) []byte) error {
	for _, c := range w.copies {
		if _, err := c.f.Write(encoded(c)); err != nil {
			return fmt.Errorf("writing metrics: %w", err)
		}
	}
	return nil
}

func (w *Writer) append(record any) error {
	line, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("writing metrics: %w", err)
	}
	n, err := w.f.Write(append(line, '\n'))
	if err != nil {
		if n > 0 {
			err = errors.Join(err, w.cut())
		}
		return fmt.Errorf("writing metrics: %w", err)
	}
	w.size += int64(n)
	return nil
}

// Sync makes what was written so far outlast a crash of the machine. Call it before a checkpoint that relies on it.
func (w *Writer) Sync() error {
	if err := w.f.Sync(); err != nil {
		return fmt.Errorf("writing metrics: %w", err)
	}
	return nil
}

// Close syncs and closes the file.
func (w *Writer) Close() error {
	err := errors.Join(w.f.Sync(), w.f.Close(), w.closeCopies())
	if err != nil {
		return fmt.Errorf("closing metrics: %w", err)
	}
	return nil
}
