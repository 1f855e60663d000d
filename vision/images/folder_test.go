package images

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tree makes a folder with files of the given paths, copies of testdata's 420.jpg or rgb.png where those are asked for.
func tree(t *testing.T, files map[string]string) string {
	dir := t.TempDir()
	for name, content := range files {
		data := []byte(content)
		if from, ok := strings.CutPrefix(content, "="); ok {
			var err error
			data, err = os.ReadFile(filepath.Join("testdata", from))
			require.NoError(t, err)
		}
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, data, 0o644))
	}
	return dir
}

func names(s Source) []string {
	var all []string
	for i := range s.Len() {
		all = append(all, filepath.ToSlash(s.Name(i)))
	}
	return all
}

func TestFolder(t *testing.T) {
	ctx := context.Background()
	dir := tree(t, map[string]string{
		"b/2.JPG": "=420.jpg", "b/1.jpeg": "=rgb.png", "b/deep/er/x.PnG": "=rgb.png", "a/z.jpg": "=grey.jpg", "top.png": "=rgb.png",
		"a/notes.txt": "x", ".hidden/x.jpg": "=420.jpg", "a/._z.jpg": "x", "empty/readme.md": "x", "plain": "=420.jpg", "plaintext": "hello",
	})
	want := []string{"a/z.jpg", "b/1.jpeg", "b/2.JPG", "b/deep/er/x.PnG", "plain", "top.png"}

	s, err := Folder(ctx, dir, DefaultOptions())
	require.NoError(t, err)
	assert.Equal(t, want, names(s))
	assert.Empty(t, s.Classes())
	_, ok := s.Label(0)
	assert.False(t, ok)
	for i := range s.Len() {
		m, err := s.Image(ctx, i)
		require.NoError(t, err)
		assert.Equal(t, [3]int{3, 37, 45}, [3]int{m.Channels, m.Height, m.Width})
	}

	o := DefaultOptions()
	o.Labels, o.Channels = true, 1
	s, err = Folder(ctx, dir, o)
	require.NoError(t, err)
	assert.Equal(t, want, names(s))
	assert.Equal(t, []string{"a", "b"}, s.Classes(), "a folder without images is no class")
	for i, class := range []int{0, 1, 1, 1, -1, -1} {
		got, ok := s.Label(i)
		assert.Equal(t, class >= 0, ok)
		assert.Equal(t, max(class, 0), got)
	}
	m, err := s.Image(ctx, 0)
	require.NoError(t, err)
	assert.Equal(t, 1, m.Channels)

	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = s.Image(cancelled, 0)
	assert.ErrorIs(t, err, context.Canceled)
	_, err = Folder(cancelled, dir, o)
	assert.ErrorIs(t, err, context.Canceled)
}

func TestFolderLinks(t *testing.T) {
	ctx := context.Background()
	dir := tree(t, map[string]string{"a/1.jpg": "=420.jpg"})
	elsewhere := tree(t, map[string]string{"2.jpg": "=420.jpg", "3.png": "=rgb.png"})
	require.NoError(t, os.Symlink(elsewhere, filepath.Join(dir, "b")))
	require.NoError(t, os.Symlink(filepath.Join(elsewhere, "3.png"), filepath.Join(dir, "linked.png")))
	require.NoError(t, os.Symlink(dir, filepath.Join(dir, "a", "loop")))
	require.NoError(t, os.Symlink(filepath.Join(dir, "gone"), filepath.Join(dir, "lost.jpg")))
	s, err := Folder(ctx, dir, DefaultOptions())
	require.NoError(t, err)
	assert.Equal(t, []string{"a/1.jpg", "b/2.jpg", "b/3.png", "linked.png", "lost.jpg"}, names(s))
	_, err = s.Image(ctx, 4)
	assert.ErrorContains(t, err, "lost.jpg: no such file")

	// A link as the root.
	root := filepath.Join(t.TempDir(), "root")
	require.NoError(t, os.Symlink(elsewhere, root))
	s, err = Folder(ctx, root, DefaultOptions())
	require.NoError(t, err)
	assert.Equal(t, []string{"2.jpg", "3.png"}, names(s))
}

func TestFolderErrors(t *testing.T) {
	ctx := context.Background()
	fails := func(dir, want string) {
		t.Helper()
		_, err := Folder(ctx, dir, DefaultOptions())
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, dir)
	}
	fails(filepath.Join(t.TempDir(), "missing"), "there is no such folder")
	fails(t.TempDir(), "no image in it; found nothing: the folder is empty")
	dir := tree(t, map[string]string{"a.txt": "", "b.TXT": "", "c/d.csv": "", "e": "", "f.svg": "", "g.heic": "", "h.mp4": ""})
	fails(dir, "found 2 .txt, 1 without an extension, 1 .csv, 1 .heic, … in 1 folder below it")
	fails(filepath.Join(dir, "a.txt"), "it is a file")

	require.NoError(t, os.MkdirAll(filepath.Join(dir, "sealed"), 0o000))
	if os.Getuid() == 0 {
		t.Log("root may read a sealed folder: not tried")
	} else {
		fails(dir, "permission denied")
	}

	_, err := Folder(ctx, dir, Options{Channels: -1})
	assert.ErrorContains(t, err, "channels: -1")
	assert.ErrorContains(t, err, "max pixels: 0")

	broken := tree(t, map[string]string{"broken.jpg": "not a picture"})
	s, err := Folder(ctx, broken, DefaultOptions())
	require.NoError(t, err)
	_, err = s.Image(ctx, 0)
	assert.ErrorContains(t, err, filepath.Join(broken, "broken.jpg")+`: neither JPEG, `)
}

// TestSharedFolders reads what real folders hold, where they are.
func TestSharedFolders(t *testing.T) {
	for dir, want := range map[string]struct{ images, classes int }{
		"eurosat/validation": {1000, 10}, "clothing160/validation": {341, 10},
	} {
		t.Run(dir, func(t *testing.T) {
			path := filepath.Join("../../../shared/data", dir)
			if _, err := os.Stat(path); err != nil {
				t.Skip("../shared/data/" + dir + " is absent")
			}
			o := DefaultOptions()
			o.Labels = true
			s, err := Folder(context.Background(), path, o)
			require.NoError(t, err)
			assert.Equal(t, want.images, s.Len())
			assert.Len(t, s.Classes(), want.classes)
			for i := 0; i < s.Len(); i += 50 {
				m, err := s.Image(context.Background(), i)
				require.NoError(t, err)
				require.NoError(t, m.Check())
			}
		})
	}
}
