package images

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// age makes folders look as if nothing had changed in them for an hour.
func age(t *testing.T, dirs ...string) {
	t.Helper()
	past := time.Now().Add(-time.Hour)
	for _, d := range dirs {
		require.NoError(t, os.Chtimes(d, past, past))
	}
}

// ageAll is age for a tree.
func ageAll(t *testing.T, root string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil {
			age(t, path)
		}
		return err
	}))
}

func TestFolderIndex(t *testing.T) {
	ctx := context.Background()
	root := tree(t, map[string]string{"a/1.jpg": "", "a/2.jpg": "", "b/c/3.png": "", "b/4.jpg": "", "z.jpg": "", "none/x.txt": "", "bare": "=420.jpg"})
	var notes []string
	x := &folderIndex{dir: filepath.Join(t.TempDir(), "index"), note: func(s string) { notes = append(notes, s) }}
	o := DefaultOptions()
	listed := func(x *folderIndex) []string {
		t.Helper()
		s, err := folder(ctx, root, o, x)
		require.NoError(t, err)
		plain, err := folder(ctx, root, o, nil)
		require.NoError(t, err)
		require.Equal(t, plain.Classes(), s.Classes())
		if plain.files.labels != nil {
			require.Equal(t, plain.files.labels, s.files.labels)
		}
		return names(s)
	}
	ageAll(t, root)
	want := []string{"a/1.jpg", "a/2.jpg", "b/4.jpg", "b/c/3.png", "bare", "z.jpg"}
	assert.Equal(t, want, listed(x))
	entries, err := filepath.Glob(filepath.Join(x.dir, "folders-*.index"))
	require.NoError(t, err)
	require.Len(t, entries, 1)
	file := entries[0]

	// What the index says is believed while a folder's time is the same; another time is noticed, older or not.
	past := time.Now().Add(-2 * time.Hour)
	require.NoError(t, os.Remove(filepath.Join(root, "a/2.jpg")))
	require.NoError(t, os.Chtimes(filepath.Join(root, "a"), past, past))
	assert.Equal(t, []string{"a/1.jpg", "b/4.jpg", "b/c/3.png", "bare", "z.jpg"}, listed(x))
	known := x.load(root, imageFiles(false))
	require.Len(t, known, 5)
	top := known[""]
	top.names = "believed.jpg" + nul
	w := walker{ctx: ctx, root: root, rules: imageFiles(false), known: map[string]listing{"": top}, slots: make(chan struct{}, 1), others: map[string]int{}}
	n, err := w.walk("", nil)
	require.NoError(t, err)
	assert.Equal(t, []string{"believed.jpg"}, names(&FolderSource{files: w.flatten(n)}))
	assert.Zero(t, w.listed)

	// Files and folders that are added and removed are noticed, with labels and without.
	for _, o.Labels = range []bool{false, true} {
		for _, step := range []struct {
			do   func() error
			want []string
		}{
			{func() error { return os.WriteFile(filepath.Join(root, "b/c/0.png"), nil, 0o644) }, []string{"a/1.jpg", "b/4.jpg", "b/c/0.png", "b/c/3.png", "bare", "z.jpg"}},
			{func() error { return os.Mkdir(filepath.Join(root, "new"), 0o755) }, []string{"a/1.jpg", "b/4.jpg", "b/c/0.png", "b/c/3.png", "bare", "z.jpg"}},
			{func() error { return os.WriteFile(filepath.Join(root, "new/n.jpg"), nil, 0o644) }, []string{"a/1.jpg", "b/4.jpg", "b/c/0.png", "b/c/3.png", "bare", "new/n.jpg", "z.jpg"}},
			{func() error { return os.Rename(filepath.Join(root, "a"), filepath.Join(root, "q")) }, []string{"b/4.jpg", "b/c/0.png", "b/c/3.png", "bare", "new/n.jpg", "q/1.jpg", "z.jpg"}},
			{func() error { return os.RemoveAll(filepath.Join(root, "new")) }, []string{"b/4.jpg", "b/c/0.png", "b/c/3.png", "bare", "q/1.jpg", "z.jpg"}},
			{func() error { return os.Rename(filepath.Join(root, "q"), filepath.Join(root, "a")) }, []string{"a/1.jpg", "b/4.jpg", "b/c/0.png", "b/c/3.png", "bare", "z.jpg"}},
			{func() error { return os.Remove(filepath.Join(root, "b/c/0.png")) }, []string{"a/1.jpg", "b/4.jpg", "b/c/3.png", "bare", "z.jpg"}},
		} {
			require.NoError(t, step.do())
			require.Equal(t, step.want, listed(x))
			require.Equal(t, step.want, listed(x), "with the index just made")
		}
	}
	o.Labels = false

	// A folder that changed just now is read again, as its time may not tell the next change.
	require.NoError(t, os.Chtimes(root, time.Now(), time.Now()))
	listed(x)
	assert.Zero(t, x.load(root, imageFiles(false))[""].time)

	// Edits are not noticed, but for a rescan.
	ageAll(t, root)
	listed(x)
	require.NoError(t, os.WriteFile(filepath.Join(root, "bare"), []byte("text"), 0o644))
	s, err := folder(ctx, root, o, x)
	require.NoError(t, err)
	assert.Contains(t, names(s), "bare")
	x.rescan = true
	s, err = folder(ctx, root, o, x)
	require.NoError(t, err)
	assert.NotContains(t, names(s), "bare")
	x.rescan = false
	require.Empty(t, notes)

	// An index file that is damaged anywhere is made anew, and that is said.
	ageAll(t, root)
	want = listed(x)
	good, err := os.ReadFile(file)
	require.NoError(t, err)
	for i := range good {
		bad := append([]byte{}, good...)
		bad[i] ^= 0x10
		require.NoError(t, os.WriteFile(file, bad, 0o644))
		notes = nil
		require.Nil(t, x.load(root, imageFiles(false)))
		require.Len(t, notes, 1)
		bad = good[:i]
		require.NoError(t, os.WriteFile(file, bad, 0o644))
		require.Nil(t, x.load(root, imageFiles(false)))
	}
	notes = nil
	assert.Equal(t, want, listed(x))
	require.Len(t, notes, 1)
	assert.Contains(t, notes[0], file)
	assert.Contains(t, notes[0], "it is made anew")
	notes = nil
	assert.Equal(t, want, listed(x))
	assert.Empty(t, notes)

	// It belongs to a root and to what is looked for.
	other := tree(t, map[string]string{"1.jpg": ""})
	require.NoError(t, os.Rename(file, x.path(other, imageFiles(false))))
	assert.Nil(t, x.load(other, imageFiles(false)))
	assert.Contains(t, strings.Join(notes, ""), "of another folder")

	// Where no index can be written, all goes on.
	notes = nil
	blocked := &folderIndex{dir: filepath.Join(root, "z.jpg"), note: x.note}
	assert.Equal(t, want, listed(blocked))
	assert.NotEmpty(t, notes)
}

// TestFolderOrder compares the order with that of paths, part by part, and lists folders that are read in many pieces.
func TestFolderOrder(t *testing.T) {
	files := map[string]string{}
	var want []string
	for i := range 3000 {
		want = append(want, fmt.Sprintf("d%d/%05d.jpg", i%2, i/2))
	}
	for _, name := range want {
		files[name] = ""
	}
	want = nil
	for d := range 2 {
		for i := range 1500 {
			want = append(want, fmt.Sprintf("d%d/%05d.jpg", d, i))
		}
	}
	// A folder comes where its name alone comes, and not its name with a slash.
	for _, name := range []string{"e/1.jpg", "e-1.jpg", "e.jpg", "f/g/1.jpg", "f/g.jpg", "f/h/1.jpg"} {
		files[name] = ""
	}
	want = append(want, "e/1.jpg", "e-1.jpg", "e.jpg", "f/g/1.jpg", "f/g.jpg", "f/h/1.jpg")
	s, err := Folder(context.Background(), tree(t, files), DefaultOptions())
	require.NoError(t, err)
	assert.Equal(t, want, names(s))
}
