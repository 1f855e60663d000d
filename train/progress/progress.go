// Package progress shows how far a long job is: a bar that redraws itself on a terminal, and a plain line every so
// often where the output is a file or a pipe.
package progress

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// Options say what a Bar counts and how it is shown.
type Options struct {
	Total int                          // units of the whole job; 0 where it is not known, which shows neither bar nor time left
	Start int                          // units done before this session, after a resume
	Unit  string                       // what is counted: "step"
	Item  string                       // what the rate counts: "images"; "" shows no rate
	Count func(done, total int) string // what is shown in place of "UNIT DONE/TOTAL"; nil for that

	Every time.Duration // time between plain lines; not used on a terminal
}

// The bar is redrawn at most this often, and its speed is the mean of about the last `window`.
const (
	redraw = 100 * time.Millisecond
	window = 30 * time.Second
)

// Bar shows the progress of one job. It may be used by several goroutines at once, and is an io.Writer for log lines:
// they appear above the bar, whole.
type Bar struct {
	mu    sync.Mutex
	w     io.Writer
	o     Options
	now   func() time.Time
	width func() int // columns of the terminal; nil where the output is none

	done, items int
	parts       []string
	marks       []mark // oldest first, none older than window but one
	shown       time.Time
	plainDone   int  // units at the last plain line; -1 before the first
	drawn       bool // the cursor stands behind a bar
	line        []byte
	finished    bool
}

// mark is how far the job was at a time.
type mark struct {
	at          time.Time
	done, items int
}

// New returns a Bar that writes to w, in place if w is a terminal that can move its cursor.
func New(w io.Writer, o Options) *Bar {
	return newBar(w, o, terminalWidth(w), time.Now)
}

func newBar(w io.Writer, o Options, width func() int, now func() time.Time) *Bar {
	return &Bar{
		w: w, o: o, now: now, width: width,
		done: o.Start, plainDone: -1, marks: []mark{{at: now(), done: o.Start}},
	}
}

// terminalWidth returns a function that measures w's terminal, or nil if w is none. It measures each time, since the
// window may be resized.
func terminalWidth(w io.Writer) func() int {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return func() int {
		columns, _, err := term.GetSize(int(f.Fd()))
		if err != nil || columns <= 0 {
			return 80
		}
		return columns
	}
}

// Set says that done units of the job are finished, Start included, and that this session has worked on items items.
// The parts are figures to show, the most important first: where the terminal is too narrow the last are left out.
func (b *Bar) Set(done, items int, parts ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.finished {
		return
	}
	now := b.now()
	b.done, b.items, b.parts = done, items, parts
	b.marks = append(b.marks, mark{now, done, items})
	for len(b.marks) > 2 && now.Sub(b.marks[1].at) >= window {
		b.marks = b.marks[1:]
	}
	switch {
	case b.width == nil:
		if b.plainDone < 0 || now.Sub(b.shown) >= b.o.Every {
			b.plain(now)
		}
	case now.Sub(b.shown) >= redraw:
		b.draw(now)
	}
}

// Rate returns the items per second of about the last half minute; 0 before there is something to measure.
func (b *Bar) Rate() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	rate, _ := b.speed()
	return rate
}

// speed returns items per second and the time that one unit takes; both are 0 before there is something to measure.
func (b *Bar) speed() (rate float64, unit time.Duration) {
	first, last := b.marks[0], b.marks[len(b.marks)-1]
	took := last.at.Sub(first.at)
	if took <= 0 || last.done <= first.done {
		return 0, 0
	}
	return float64(last.items-first.items) / took.Seconds(), took / time.Duration(last.done-first.done)
}

// Write prints log lines. What follows the last newline waits for the rest of its line, or for Finish.
func (b *Bar) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.line = append(b.line, p...)
	end := bytes.LastIndexByte(b.line, '\n') + 1
	if end == 0 {
		return len(p), nil
	}
	text := append(b.clear(), b.line[:end]...)
	b.line = append(b.line[:0], b.line[end:]...)
	if _, err := b.w.Write(text); err != nil {
		return 0, err
	}
	if b.width != nil && !b.finished && !b.shown.IsZero() {
		b.draw(b.now())
	}
	return len(p), nil
}

// Finish shows the last state and leaves the cursor on a fresh line. Only Write may follow.
func (b *Bar) Finish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.finished {
		return
	}
	b.finished = true
	if len(b.line) > 0 {
		b.print(append(append(b.clear(), b.line...), '\n'))
		b.line = nil
	}
	switch {
	case len(b.marks) == 1: // nothing was done, so there is nothing to show
	case b.width == nil:
		if b.plainDone != b.done {
			b.plain(b.now())
		}
	default:
		b.draw(b.now())
		b.print([]byte("\n"))
		b.drawn = false
	}
}

// print writes what the job can do without: a terminal that has gone away must not stop it.
func (b *Bar) print(text []byte) { _, _ = b.w.Write(text) }

// plain writes one line.
func (b *Bar) plain(now time.Time) {
	b.shown, b.plainDone = now, b.done
	b.print([]byte(strings.Join(append([]string{b.count()}, b.rest()...), "  ") + "\n"))
}

// draw redraws the bar in one write, so that no other output of this process gets between.
func (b *Bar) draw(now time.Time) {
	b.shown = now
	line := b.compose(b.width() - 1) // a full last column makes some terminals wrap
	text := append(b.clear(), line...)
	b.drawn = true
	b.print(text)
}

// clear returns what erases the bar. If the window was made narrower meanwhile, the terminal may have wrapped the bar,
// and its upper part stays: moving up to erase that too would eat log lines on terminals that do not wrap again.
func (b *Bar) clear() []byte {
	if !b.drawn {
		return nil
	}
	b.drawn = false
	return []byte("\r\x1b[J")
}

// compose lays the bar out in at most width columns.
func (b *Bar) compose(width int) string {
	line := b.count()
	rest := b.rest()
	for len(rest) > 0 && columns(line, rest) > width {
		rest = rest[:len(rest)-1]
	}
	room := width - columns(line, rest) - 2
	for _, wide := range []int{24, 16, 8} { // few widths, so that it does not wobble with the figures
		if b.o.Total > 0 && room >= wide {
			line += "  " + gauge(b.fraction(), wide)
			break
		}
	}
	for _, part := range rest {
		line += "  " + part
	}
	if n := utf8.RuneCountInString(line); n > width {
		line = string([]rune(line)[:max(width, 0)])
	}
	return line
}

func columns(line string, parts []string) int {
	n := utf8.RuneCountInString(line)
	for _, p := range parts {
		n += 2 + utf8.RuneCountInString(p)
	}
	return n
}

func (b *Bar) fraction() float64 {
	return min(max(float64(b.done)/float64(b.o.Total), 0), 1)
}

// count is the part that every line has: "step 120/2340 5%".
func (b *Bar) count() string {
	if b.o.Count != nil {
		return b.o.Count(b.done, b.o.Total)
	}
	if b.o.Total <= 0 {
		return fmt.Sprintf("%s %d", b.o.Unit, b.done)
	}
	return fmt.Sprintf("%s %d/%d %d%%", b.o.Unit, b.done, b.o.Total, int(100*b.fraction()))
}

// rest is what follows: time left, the first of the caller's figures, speed, the other figures.
func (b *Bar) rest() []string {
	rate, unit := b.speed()
	var rest []string
	if left := b.o.Total - b.done; b.o.Total > 0 && left > 0 && unit > 0 {
		rest = append(rest, Duration(time.Duration(left)*unit)+" left")
	}
	first := min(len(b.parts), 1)
	rest = append(rest, b.parts[:first]...)
	if rate > 0 && b.o.Item != "" {
		rest = append(rest, fmt.Sprintf("%s %s/s", figures(rate), b.o.Item))
	}
	return append(rest, b.parts[first:]...)
}

// gauge draws a fraction in the given number of columns, to an eighth of a column.
func gauge(fraction float64, width int) string {
	eighths := int(fraction * float64(8*width))
	full, part := eighths/8, eighths%8
	s := strings.Repeat("█", full)
	if part > 0 {
		s += string([]rune("▏▎▍▌▋▊▉")[part-1])
		full++
	}
	return s + strings.Repeat("░", width-full)
}

// figures writes a rate with three figures, or all of those before the point.
func figures(x float64) string {
	switch {
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

// Duration writes a time in its two leading units: "2d 3h", "3h 04m", "5m 06s", "7s".
func Duration(d time.Duration) string {
	const day = 24 * time.Hour
	d = d.Round(time.Second)
	switch {
	case d >= day:
		return fmt.Sprintf("%dd %dh", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh %02dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm %02ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}
