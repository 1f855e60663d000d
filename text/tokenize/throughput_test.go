package tokenize

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestThroughput is what scripts/bench/tokens.py runs in a process of its own: the lines of $GOJEPA_TEXTS by $GOJEPA_TOKENIZER.
func TestThroughput(t *testing.T) {
	file, texts := os.Getenv("GOJEPA_TOKENIZER"), os.Getenv("GOJEPA_TEXTS")
	if file == "" || texts == "" {
		t.Skip("GOJEPA_TOKENIZER and GOJEPA_TEXTS are set by scripts/bench/tokens.py")
	}
	tok, err := Open(file)
	require.NoError(t, err)
	raw, err := os.ReadFile(texts)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")
	var ids []int32
	var seconds float64
	n := 0
	for range 2 {
		n = 0
		start := processTime(t)
		for _, line := range lines {
			ids, err = tok.Append(ids[:0], line, 0)
			require.NoError(t, err)
			n += len(ids)
		}
		seconds = (processTime(t) - start).Seconds()
	}
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	var kib int
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	_, err = fmt.Sscan(after, &kib)
	require.NoError(t, err)
	fmt.Printf("{\"seconds\": %g, \"tokens\": %d, \"memory\": %g}\n", seconds, n, float64(kib)/1024)
}

// processTime is how long processors worked for this process.
func processTime(t *testing.T) time.Duration {
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
