package runlog

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// Log is what a metrics.jsonl file holds, in the order of its lines.
type Log struct {
	Steps []Step
	Evals []Eval
}

// Read reads a metrics.jsonl file. A last line without its newline, which a crash can leave, is ignored; any other
// line that is no record is an error that names it. The file may still be growing.
func Read(path string) (*Log, error) {
	log := new(Log)
	err := Each(path, func(s Step) { log.Steps = append(log.Steps, s) }, func(e Eval) { log.Evals = append(log.Evals, e) })
	if err != nil {
		return nil, err
	}
	return log, nil
}

// Each is Read for files of any length: it hands over one record after the other, in the order of the lines.
func Each(path string, step func(Step), eval func(Eval)) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("reading metrics: %w", err)
	}
	defer f.Close()
	if _, err := scan(f, func(s *Step, e *Eval) bool {
		if s != nil {
			step(*s)
		} else {
			eval(*e)
		}
		return true
	}); err != nil {
		return fmt.Errorf("reading metrics: %s: %w", path, err)
	}
	return nil
}

// scan calls keep for every whole line of r until keep says false, and returns the length of what was kept.
func scan(r io.Reader, keep func(*Step, *Eval) bool) (int64, error) {
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
			s, e, err := parse(line)
			if err != nil {
				return size, fmt.Errorf("line %d: %w", n, err)
			}
			if !keep(s, e) {
				return size, nil
			}
		}
		size += int64(len(line))
	}
}

// Writer appends records to a metrics.jsonl file. Each record is one write, so a run that is killed leaves whole lines
// and at most one half. It is not safe for use by several goroutines at once.
type Writer struct {
	f      *os.File
	size   int64    // length of the whole lines written so far
	copies []copied // in other formats
}

// Open opens the file at path for a run that goes on after step `after`, and makes it if there is none. Records of
// later steps, which that run will make again, and a half line at the end are cut off; after = 0 starts over.
func Open(path string, after int) (*Writer, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening metrics: %w", err)
	}
	w := &Writer{f: f}
	w.size, err = scan(f, func(s *Step, e *Eval) bool {
		if s != nil {
			return s.Step <= after
		}
		return e.Step <= after && after > 0
	})
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("opening metrics: %s: %w", path, err)
	}
	if err := w.cut(); err != nil {
		f.Close()
		return nil, fmt.Errorf("opening metrics: %w", err)
	}
	return w, nil
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
	return w.copy(func(e encoder) []byte { return e.step(s) })
}

// Eval appends a record, like Step.
func (w *Writer) Eval(e Eval) error {
	if err := w.append(e); err != nil {
		return err
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
	err := errors.Join(w.f.Sync(), w.f.Close())
	for _, c := range w.copies {
		err = errors.Join(err, c.f.Close())
	}
	if err != nil {
		return fmt.Errorf("closing metrics: %w", err)
	}
	return nil
}
