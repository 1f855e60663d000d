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

func TestOpenList(t *testing.T) {
	ctx := context.Background()
	dir := tree(t, map[string]string{"img/a b.jpg": "=420.jpg", "img/c,d.png": "=rgb.png", "img/e": "=grey.jpg"})
	list := func(name, text string) string {
		path := filepath.Join(dir, name)
		data := []byte(text)
		if strings.HasSuffix(name, ".gz") {
			data = gzipped(t, data)
		}
		require.NoError(t, os.WriteFile(path, data, 0o644))
		return path
	}
	want := []string{"img/a b.jpg", "img/c,d.png", "img/e"}
	read := func(path string, change func(*OpenOptions)) Source {
		t.Helper()
		s := open(t, path, change)
		require.Equal(t, want, names(s))
		for i := range want {
			m, err := s.Image(ctx, i)
			require.NoError(t, err)
			require.Equal(t, [2]int{37, 45}, [2]int{m.Height, m.Width})
		}
		return s
	}
	csv := "\ufefffile_name,label,text\n\"img/a b.jpg\",cat,\"two\nlines\"\n\"img/c,d.png\",,hello\n img/e ,ant,\n"
	for _, name := range []string{"a.csv", "a.csv.gz"} {
		s := read(list(name, csv), labels)
		assert.Equal(t, []string{"ant", "cat"}, s.(Labelled).Classes())
		assert.Equal(t, []int{1, -1, 0}, labelsOf(s))
		assert.Equal(t, []string{"two\nlines", "hello", ""}, captionsOf(s))
	}
	assert.Empty(t, read(filepath.Join(dir, "a.csv"), nil).(Labelled).Classes())
	s := read(list("a.tsv", "x\ty\tz\n7\timg/a b.jpg\tA\n-1\timg/c,d.png\tB\n0\timg/e\tC\n"), func(o *OpenOptions) {
		o.ImageColumn, o.LabelColumn, o.CaptionColumn = "y", "x", "3"
	})
	assert.Equal(t, []int{7, -1, 0}, labelsOf(s))
	assert.Len(t, s.(Labelled).Classes(), 8)
	assert.Equal(t, []string{"A", "B", "C"}, captionsOf(s))
	read(list("a.txt", "img/a b.jpg\r\n\r\nimg/c,d.png\nimg/e\n"), nil)
	s = open(t, list("b.txt", "img/a b.jpg 3\nimg/c,d.png 0"), labels)
	assert.Equal(t, []int{3, 0}, labelsOf(s))
	assert.Equal(t, want[:2], names(s))
	list("rooted.csv", "\"a b.jpg\"\n\"c,d.png\"\n")
	s = open(t, filepath.Join(dir, "rooted.csv"), func(o *OpenOptions) { o.Root = filepath.Join(dir, "img") })
	_, err := s.Image(ctx, 1)
	require.NoError(t, err)

	// Paths may lead anywhere: whoever wrote the list may. What cannot be read is named with its line.
	s = open(t, list("c.csv", "path\n../x/missing.jpg\n\""+filepath.Join(dir, "img/e")+"\"\n\"\"\nc.csv\n"), nil)
	_, err = s.Image(ctx, 0)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, filepath.Join(dir, "c.csv")+":2: ")
	require.ErrorContains(t, err, "x/missing.jpg")
	_, err = s.Image(ctx, 1)
	require.NoError(t, err)
	_, err = s.Image(ctx, 2)
	require.ErrorContains(t, err, "c.csv:4: it names no image")
	assert.Equal(t, "c.csv:4", s.Name(2))
	_, err = s.Image(ctx, 3)
	require.ErrorContains(t, err, "c.csv:5: ")
	require.ErrorContains(t, err, "neither JPEG, PNG")

	openFails(t, list("d.csv", "a,b\n1,2\n"), nil, `no column of images: the first line is ["a" "b"]`)
	openFails(t, list("e.csv", "path,x\n1.jpg\n2.jpg,y\n"), func(o *OpenOptions) { o.LabelColumn = "x" }, "line 2 has 1 fields, expected 2 or more")
	openFails(t, list("f.csv", "path,x\n\"1.jpg,\n"), nil, "quote")
	openFails(t, list("g.csv", "path,x\n"), nil, "it names no image")
	openFails(t, list("h.csv", ""), nil, "it names no image")
	openFails(t, list("i.csv", "path,x\n1.jpg,2\n"), func(o *OpenOptions) { o.LabelColumn = "y" }, `label column "y": expected one of ["path" "x"]`)
	openFails(t, list("j.csv", "path,x\n1.jpg,2\n"), labels, "no column of labels")
	openFails(t, list("k.csv", "1.jpg,2\n"), func(o *OpenOptions) { o.LabelColumn = "y" }, "the first line is no header")
}
