package images

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkFolderMillion indexes a million (empty) files in the folder that MILLION names, such as one in /dev/shm: in 1000
// folders and in one, without an index file and with. Peak memory is that of the process, the Go runtime and all.
func BenchmarkFolderMillion(b *testing.B) {
	at := os.Getenv("MILLION")
	if at == "" {
		b.Skip("MILLION names no folder to make a million files in")
	}
	for _, folders := range []int{1000, 1} {
		root, err := os.MkdirTemp(at, "million")
		require.NoError(b, err)
		defer os.RemoveAll(root)
		for i := range folders {
			dir := filepath.Join(root, fmt.Sprintf("n%08d", i))
			require.NoError(b, os.Mkdir(dir, 0o755))
			for k := range 1_000_000 / folders {
				f, err := os.Create(filepath.Join(dir, fmt.Sprintf("n%08d_%07d.JPEG", i, k*7919%(1_000_000/folders))))
				require.NoError(b, err)
				f.Close()
			}
		}
		time.Sleep(settled + time.Second/2) // as it would be for folders that were not made just now
		x := &folderIndex{dir: b.TempDir()}
		var first *FolderSource
		for _, c := range []struct {
			name  string
			index *folderIndex
		}{{"plain", nil}, {"first", x}, {"again", x}} {
			b.Run(fmt.Sprintf("%d/%s", folders, c.name), func(b *testing.B) {
				debug.FreeOSMemory()
				require.NoError(b, os.WriteFile("/proc/self/clear_refs", []byte("5"), 0))
				for range b.N {
					s, err := folder(context.Background(), root, DefaultOptions(), c.index)
					require.NoError(b, err)
					require.Equal(b, 1_000_000, s.Len())
					if first == nil || len(first.files.runs) != len(s.files.runs) {
						first = s
					}
					require.Equal(b, first.Name(123456), s.Name(123456))
				}
				b.ReportMetric(float64(peak(b))/1e6, "peakMB")
			})
		}
		runtime.KeepAlive(first)
	}
}

// peak is the most memory that the process has had since it was last reset, in bytes.
func peak(b *testing.B) (bytes int64) {
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(b, err)
	for line := range strings.Lines(string(status)) {
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &bytes); err == nil {
			return bytes * 1024
		}
	}
	b.Fatal("no VmHWM in /proc/self/status")
	return 0
}
