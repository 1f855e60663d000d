//go:build linux

package weights

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// openInChild names the file that a child process of TestMemoryOfAProcess opens.
const openInChild = "GOJEPA_OPEN_IN_CHILD"

var peakLine = regexp.MustCompile(`VmHWM:\s*(\d+) kB`)

// TestMemoryOfAProcess opens hostile files, each in a process of its own, and reads what there is. All that the process
// takes counts: stacks, garbage, and what the collector keeps.
func TestMemoryOfAProcess(t *testing.T) {
	if path := os.Getenv(openInChild); path != "" {
		if f, err := Open(path); err == nil {
			for _, info := range f.Tensors() {
				_, _ = f.Read(info.Name) // whether it can be read is for other tests
			}
			_ = f.Close()
		}
		// The system's account of a child has the parent's memory in it, from before it was another program.
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("%s\n", peakLine.Find(status))
		return
	}
	files := greedyFiles()
	files["bomb"] = deflated(256 << 20)
	files["half a bomb"] = deflated(20 << 20)
	files["header of 1 TB"] = append([]byte{0, 0, 0, 0, 255, 0, 0, 0}, "{}"...)
	files["pickle of 4 GB"] = ptOf("\x80\x02X\xff\xff\xff\xff.")
	files["long tensor"] = ptOf(dictOf(tensorPickle("K\x04", "K\x00", "J\x00\x00\x50\x00\x85", "K\x00\x85")))
	dir := t.TempDir()
	peak := func(name string, b []byte) int64 {
		path := filepath.Join(dir, "hostile")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		child := exec.Command(os.Args[0], "-test.run", "^TestMemoryOfAProcess$")
		child.Env = append(os.Environ(), openInChild+"="+path)
		out, err := child.CombinedOutput()
		m := peakLine.FindSubmatch(out)
		if err != nil || m == nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		kB, err := strconv.ParseInt(string(m[1]), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return kB << 10
	}
	base := peak("a sound file", ptOf(dictOf(ones)))
	var most int64
	var worst string
	for name, b := range files {
		used := peak(name, b) - base
		if over := used - int64(len(b)); over > most {
			most, worst = over, name
		}
		if used > int64(len(b)+maxOverhead) {
			t.Errorf("%s: a file of %d bytes takes %d", name, len(b), used)
		}
	}
	t.Logf("%d files: at most %d bytes (%s) over the size of the file and the %d of a process that opens a small one", len(files), most, worst, base)
}
