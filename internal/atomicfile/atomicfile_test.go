//go:build unix

package atomicfile

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func put(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

func wantFile(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s holds %.40q (%v), want %.40q", path, got, err, want)
	}
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.HasSuffix(f.Name(), ".tmp") {
			t.Errorf("%s was left behind", f.Name())
		}
	}
}

// TestLink: both names stay whole whatever becomes of the other, and what was at the new one is replaced.
func TestLink(t *testing.T) {
	dir := t.TempDir()
	old, path, far := filepath.Join(dir, "old"), filepath.Join(dir, "new"), filepath.Join(t.TempDir(), "far")
	if err := Write(far, put("one")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(far, old); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, put("what was there")); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time they are one file
		if err := Link(old, path); err != nil {
			t.Fatal(err)
		}
		wantFile(t, path, "one")
	}
	if err := Write(old, put("two")); err != nil {
		t.Fatal(err)
	}
	wantFile(t, path, "one")
	wantFile(t, far, "two")

	if st, err := os.Stat("/dev/shm"); err == nil && st.IsDir() { // another file system, where it is one
		away, err := os.MkdirTemp("/dev/shm", "atomicfile")
		if err != nil {
			t.Skip(err)
		}
		defer os.RemoveAll(away)
		if err := Link(old, filepath.Join(away, "copy")); err != nil {
			t.Fatal(err)
		}
		wantFile(t, filepath.Join(away, "copy"), "two")
	}
	if err := Link(filepath.Join(dir, "none"), path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want %v", err, os.ErrNotExist)
	}
	wantFile(t, path, "one")
}

func TestRemoveStale(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".mine.12-0.tmp", ".mine.7-link.tmp", ".other.12-0.tmp", ".mine.tmp", "mine"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := RemoveStale(dir, func(name string) bool { return name == "mine" }); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range left {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); got != ".mine.tmp .other.12-0.tmp mine" {
		t.Errorf("left are %s", got)
	}
}

func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for _, s := range []string{"one", "two"} {
		if err := Write(path, put(s)); err != nil {
			t.Fatal(err)
		}
		wantFile(t, path, s)
	}
	boom := errors.New("boom")
	err := Write(path, func(w io.Writer) error {
		if err := put(strings.Repeat("x", 3<<20))(w); err != nil {
			return err
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Errorf("got error %v, want %v", err, boom)
	}
	wantFile(t, path, "two")
}

func TestWriteKeepsPermissionsAndLinks(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "f"), filepath.Join(dir, "link")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("f", link); err != nil {
		t.Fatal(err)
	}
	if err := Write(link, put("new")); err != nil {
		t.Fatal(err)
	}
	wantFile(t, path, "new")
	st, err := os.Lstat(link)
	if err != nil || st.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v, %v", st, err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("permissions %v, %v, want 0600", st.Mode(), err)
	}
	if err := Write(dir, put("x")); err == nil {
		t.Error("writing over a folder: want an error")
	}
}

// TestWriteFull runs itself in a process whose files may grow to 64 kB only.
func TestWriteFull(t *testing.T) {
	if path := os.Getenv("ATOMICFILE_TEST_PATH"); path != "" {
		signal.Ignore(syscall.SIGXFSZ)
		limit := syscall.Rlimit{Cur: 64 << 10, Max: 64 << 10}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			t.Fatal(err)
		}
		if err := Write(path, put(strings.Repeat("x", 100<<10))); !errors.Is(err, syscall.EFBIG) {
			t.Fatalf("got error %v, want %v", err, syscall.EFBIG)
		}
		return
	}
	path := filepath.Join(t.TempDir(), "f")
	if err := Write(path, put("old")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestWriteFull$")
	cmd.Env = append(os.Environ(), "ATOMICFILE_TEST_PATH="+path)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	wantFile(t, path, "old")
}
