package runlog

import (
	"bytes"
	"os"
)

// Last returns the last whole record of a step within the last 64 kB of a metrics.jsonl file, which may still be growing, and
// whether there is one.
func Last(path string) (s Step, ok bool) {
	f, err := os.Open(path)
	if err != nil {
		return s, false
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return s, false
	}
	text := make([]byte, min(st.Size(), 64<<10))
	n, _ := f.ReadAt(text, st.Size()-int64(len(text)))
	lines := bytes.Split(text[:n], []byte("\n"))
	for i := len(lines) - 2; i >= 0; i-- { // what follows the last newline is not whole
		if r, err := parse(lines[i]); err == nil && r.step != nil {
			return *r.step, true
		}
	}
	return s, false
}
