package progress

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// clock is a time that moves only when told to.
type clock struct{ t time.Time }

func (c *clock) now() time.Time          { return c.t }
func (c *clock) advance(d time.Duration) { c.t = c.t.Add(d) }
func newClock() *clock                   { return &clock{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)} }
func fixed(columns *int) func() int      { return func() int { return *columns } }
func training() Options {
	return Options{Total: 400, Unit: "step", Item: "images", Every: 10 * time.Second}
}

var parts = []string{"loss 0.612", "prediction 0.231", "sigreg 19.3", "lr 4.0e-04"}

func TestPlainLines(t *testing.T) {
	var out bytes.Buffer
	c := newClock()
	b := newBar(&out, training(), nil, c.now)
	for step := 1; step <= 25; step++ {
		c.advance(time.Second)
		b.Set(step, step*256, parts[0])
		if step == 12 {
			fmt.Fprintf(b, "skipped broken.jpg\n")
		}
	}
	b.Finish()
	assert.Equal(t, `step 1/400 0%  6m 39s left  loss 0.612  256 images/s
step 11/400 2%  6m 29s left  loss 0.612  256 images/s
skipped broken.jpg
step 21/400 5%  6m 19s left  loss 0.612  256 images/s
step 25/400 6%  6m 15s left  loss 0.612  256 images/s
`, out.String())
	assert.NotContains(t, out.String(), "\x1b")
	assert.NotContains(t, out.String(), "\r")
}

func TestPlainLastStepOnce(t *testing.T) {
	var out bytes.Buffer
	c := newClock()
	o := training()
	o.Total = 1
	b := newBar(&out, o, nil, c.now)
	c.advance(time.Second)
	b.Set(1, 256)
	b.Finish()
	b.Finish()
	b.Set(2, 512)
	assert.Equal(t, "step 1/1 100%  256 images/s\n", out.String())
}

func TestResumedRun(t *testing.T) {
	var out bytes.Buffer
	c := newClock()
	o := training()
	o.Start = 300
	b := newBar(&out, o, nil, c.now)
	c.advance(2 * time.Second)
	b.Set(301, 256)
	assert.Equal(t, "step 301/400 75%  3m 18s left  128 images/s\n", out.String(),
		"speed and time left count this session only")
}

func TestUnknownTotal(t *testing.T) {
	var out bytes.Buffer
	c := newClock()
	b := newBar(&out, Options{Unit: "image", Item: "images"}, nil, c.now)
	c.advance(time.Second)
	b.Set(50, 50)
	assert.Equal(t, "image 50  50.0 images/s\n", out.String())
}

func TestNothingDone(t *testing.T) {
	for _, width := range []func() int{nil, func() int { return 80 }} {
		var out bytes.Buffer
		newBar(&out, training(), width, newClock().now).Finish()
		assert.Empty(t, out.String())
	}
}

func TestSpeedFollowsTheLastHalfMinute(t *testing.T) {
	c := newClock()
	b := newBar(io.Discard, training(), nil, c.now)
	assert.Zero(t, b.Rate())
	for step := 1; step <= 100; step++ {
		c.advance(time.Second)
		b.Set(step, step*100)
	}
	assert.InDelta(t, 100, b.Rate(), 1e-9)
	items := 100 * 100
	for step := 101; step <= 140; step++ {
		c.advance(time.Second)
		items += 50
		b.Set(step, items)
	}
	assert.InDelta(t, 50, b.Rate(), 1e-9)
}

func TestBarAtWidths(t *testing.T) {
	for columns, want := range map[int]string{
		120: "step 100/400 25%  ████░░░░░░░░░░░░  5m 00s left  loss 0.612  256 images/s  prediction 0.231  sigreg 19.3  lr 4.0e-04",
		80:  "step 100/400 25%  5m 00s left  loss 0.612  256 images/s  prediction 0.231",
		60:  "step 100/400 25%  5m 00s left  loss 0.612  256 images/s",
		40:  "step 100/400 25%  ██░░░░░░  5m 00s left",
		28:  "step 100/400 25%  ██░░░░░░",
		10:  "step 100/",
		1:   "",
	} {
		t.Run(fmt.Sprint(columns), func(t *testing.T) {
			var out bytes.Buffer
			c := newClock()
			b := newBar(&out, training(), fixed(&columns), c.now)
			c.advance(100 * time.Second)
			b.Set(100, 25600, parts...)
			assert.Equal(t, want, out.String())
			assert.Less(t, utf8.RuneCountInString(out.String()), columns)
		})
	}
}

// screen is a terminal of the given width, as far as Bar uses one: text that wraps, \r, \n and "erase below".
type screen struct {
	width    int
	rows     [][]rune
	row, col int
}

func (s *screen) Write(p []byte) (int, error) {
	text := []rune(string(p))
	for i := 0; i < len(text); i++ {
		s.grow()
		switch r := text[i]; {
		case r == '\r':
			s.col = 0
		case r == '\n':
			s.row, s.col = s.row+1, 0
		case strings.HasPrefix(string(text[i:]), "\x1b[J"):
			s.rows = s.rows[:s.row+1]
			s.rows[s.row] = s.rows[s.row][:s.col]
			i += 2
		case r == '\x1b':
			return 0, fmt.Errorf("unknown escape in %q", string(p))
		default:
			if s.col == s.width {
				s.row, s.col = s.row+1, 0
				s.grow()
			}
			for len(s.rows[s.row]) <= s.col {
				s.rows[s.row] = append(s.rows[s.row], ' ')
			}
			s.rows[s.row][s.col] = r
			s.col++
		}
	}
	return len(p), nil
}

func (s *screen) grow() {
	for len(s.rows) <= s.row {
		s.rows = append(s.rows, nil)
	}
}

func (s *screen) String() string {
	var lines []string
	for _, row := range s.rows {
		lines = append(lines, strings.TrimRight(string(row), " "))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

func TestTerminal(t *testing.T) {
	s := &screen{width: 70}
	c := newClock()
	b := newBar(s, training(), func() int { return s.width }, c.now)

	c.advance(time.Second)
	b.Set(1, 256, parts...)
	assert.Equal(t, "step 1/400 0%  ░░░░░░░░  6m 39s left  loss 0.612  256 images/s", s.String())

	c.advance(redraw / 2)
	b.Set(2, 512, parts...)
	assert.Contains(t, s.String(), "step 1/400", "not redrawn so soon")

	fmt.Fprint(b, "skipped ")
	assert.Equal(t, 1, strings.Count(s.String(), "\n")+1, "half a log line waits")
	fmt.Fprint(b, "a.jpg: broken\nskipped b.jpg: empty\nand")
	assert.Regexp(t, "^skipped a.jpg: broken\nskipped b.jpg: empty\nstep 2/400 0%.*$", s.String())

	s.width = 20
	c.advance(time.Second)
	b.Set(3, 768, parts...)
	assert.Equal(t, "skipped a.jpg: broken\nskipped b.jpg: empty\nstep 3/400 0%", s.String(), "drawn for the new width")

	b.Finish()
	assert.Equal(t, "skipped a.jpg: broken\nskipped b.jpg: empty\nand\nstep 3/400 0%", s.String())
	assert.Zero(t, s.col)
	fmt.Fprintln(b, "saved")
	assert.Regexp(t, "\nstep 3/400 0%\nsaved$", s.String())
}

func TestConcurrentUse(t *testing.T) {
	s := &screen{width: 80}
	b := newBar(s, training(), func() int { return s.width }, time.Now)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 50 {
				b.Set(i, i, parts...)
				fmt.Fprintf(b, "line %d of %d\n", i, g)
			}
		}()
	}
	wg.Wait()
	b.Finish()
	var logged int
	for _, line := range strings.Split(s.String(), "\n") {
		if strings.HasPrefix(line, "line ") {
			require.Regexp(t, `^line \d+ of \d$`, line)
			logged++
		}
	}
	assert.Equal(t, 200, logged)
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("gone") }

func TestBrokenOutput(t *testing.T) {
	b := newBar(broken{}, training(), nil, newClock().now)
	b.Set(1, 1)
	_, err := fmt.Fprintln(b, "a line")
	assert.Error(t, err)
	b.Finish()
}

func TestNoTerminal(t *testing.T) {
	assert.Nil(t, terminalWidth(new(bytes.Buffer)))
	f, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	defer f.Close()
	assert.Nil(t, terminalWidth(f))
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                                        "0s",
		7400 * time.Millisecond:                  "7s",
		59*time.Second + 600*time.Millisecond:    "1m 00s",
		5*time.Minute + 6*time.Second:            "5m 06s",
		3*time.Hour + 4*time.Minute:              "3h 04m",
		51*time.Hour + 10*time.Minute:            "2d 3h",
		24*time.Hour - 100*time.Millisecond:      "1d 0h",
		time.Hour - time.Second/10 + time.Minute: "1h 01m",
	} {
		assert.Equal(t, want, Duration(d))
	}
}

func TestCountOfOnesOwn(t *testing.T) {
	var out bytes.Buffer
	c := newClock()
	b := newBar(&out, Options{Total: 40, Count: func(done, total int) string { return fmt.Sprintf("%d of %d done", done, total) }}, nil, c.now)
	c.advance(time.Second)
	b.Set(10, 100, "part")
	b.Finish()
	assert.Equal(t, "10 of 40 done  3s left  part\n", out.String(), "and no rate of nothing")
}
