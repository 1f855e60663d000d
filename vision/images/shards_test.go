package images

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOpenShards(t *testing.T) {
	pattern := filepath.Join(sources, "shard-{000000..000001}.tar")
	long := "part/" + strings.Repeat("very-", 30) + "long"
	want := []string{
		"shard-000000.tar/part/sample0", "shard-000000.tar/part/sample1", "shard-000000.tar/" + long, "shard-000000.tar/part/sample3",
		"shard-000001.tar/part/sample4", "shard-000001.tar/part/sample5", "shard-000001.tar/part/sample6",
	}
	var note string
	notes := func(o *OpenOptions) { o.Note = func(s string) { note = s } }
	for _, path := range []string{pattern, filepath.Join(sources, "shard-*.tar"), goldenFolder(t, "shard-000000.tar", "shard-000001.tar")} {
		s := open(t, path, notes)
		assert.Equal(t, want, names(s))
		assert.Contains(t, note, "1 samples without an image")
		for i := range want {
			equalGolden(t, s, i, i)
		}
		assert.Empty(t, s.(Labelled).Classes())
		assert.Equal(t, goldenCaptions[:3], captionsOf(s)[:3])
		assert.Equal(t, "json ", captionsOf(s)[3], "a .json where there is no .txt")
	}

	s := open(t, pattern, labels)
	assert.Equal(t, goldenLabels, labelsOf(s))
	assert.Equal(t, []string{"0", "1", "2"}, s.(Labelled).Classes())
	s = open(t, pattern, func(o *OpenOptions) { o.LabelColumn, o.CaptionColumn = "label", "caption" })
	assert.Equal(t, goldenLabels, labelsOf(s))
	assert.Equal(t, goldenClasses, s.(Labelled).Classes())
	assert.Equal(t, "json "+goldenCaptions[4], captionsOf(s)[4])
	s = open(t, pattern, func(o *OpenOptions) { o.ImageColumn = "jpg" })
	assert.Equal(t, want[6:], names(s))
	equalGolden(t, s, 0, 6)
	one := open(t, pattern, func(o *OpenOptions) { o.Channels = 1 })
	m, err := one.Image(context.Background(), 0)
	require.NoError(t, err)
	assert.Equal(t, 1, m.Channels)

	openFails(t, pattern, func(o *OpenOptions) { o.ImageColumn = "webp" }, `no image in 8 samples: their members are ["cls" "json" "txt" "png" "jpg"], expected webp`)
	openFails(t, pattern, func(o *OpenOptions) { o.LabelColumn = "species" }, "no sample has a label", `"species", or a .json with that key`)
	openFails(t, filepath.Join(sources, "shard-{000000..000002}.tar"), nil, "there is no "+filepath.Join(sources, "shard-000002.tar"))
	openFails(t, filepath.Join(sources, "shard-{b..a}.tar"), nil, "expected two numbers, the lower one first")
	openFails(t, filepath.Join(sources, "other-*.tar"), nil, "there is no file like")
	packed := filepath.Join(t.TempDir(), "x.tar.gz")
	data, err := os.ReadFile(filepath.Join(sources, "shard-000001.tar"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(packed, gzipped(t, data), 0o644))
	openFails(t, packed, nil, "it is compressed")
}

func gzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write(data)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return b.Bytes()
}

// TestShardsBroken cuts a tar file everywhere: the samples before the cut can be had, and the rest is one image that cannot.
func TestShardsBroken(t *testing.T) {
	ctx := context.Background()
	data, err := os.ReadFile(filepath.Join(sources, "shard-000000.tar"))
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "cut.tar")
	good := 0
	for at := 600; at < 15000; at += 211 {
		n := at
		if n%3 == 0 {
			n = n / 512 * 512 // between members, or before what fills a block
		}
		require.NoError(t, os.WriteFile(path, data[:n], 0o644))
		s, err := Open(ctx, path, DefaultOpen())
		require.NoError(t, err)
		var broken []string
		for i := range s.Len() {
			if _, err := s.Image(ctx, i); err != nil {
				assert.ErrorContains(t, err, path)
				broken = append(broken, err.Error())
				continue
			}
			good++
			equalGolden(t, s, i, i)
		}
		require.NotEmpty(t, broken, "cut after %d bytes", n)
		assert.Regexp(t, fmt.Sprintf("it ends (in the middle of a member|without the mark of its end), after %d bytes", n), broken[len(broken)-1])
		assert.Equal(t, "cut.tar to its end", s.Name(s.Len()-1))
		assert.LessOrEqual(t, len(broken), 2, "the sample that is cut, and the rest")
	}
	assert.Greater(t, good, 50)

	// A member that claims more than there is, with its checksum right.
	big := append([]byte{}, data...)
	var header []byte // of the first PNG
	for i := 0; i < len(big); i += 512 {
		if bytes.HasSuffix(bytes.TrimRight(big[i:i+100], "\x00"), []byte(".png")) {
			header = big[i : i+512]
			break
		}
	}
	copy(header[124:], "37777777777")
	copy(header[148:], "        ")
	sum := 0
	for _, b := range header[:512] {
		sum += int(b)
	}
	copy(header[148:], fmt.Sprintf("%06o\x00 ", sum))
	require.NoError(t, os.WriteFile(path, big, 0o644))
	s := open(t, path, nil)
	require.Equal(t, 2, s.Len())
	_, err = s.Image(ctx, 0)
	require.ErrorContains(t, err, "has 30720 bytes, expected 4294967295")

	// A file that vanishes, and one that shrinks.
	s = open(t, goldenFolder(t, "shard-000000.tar"), nil)
	shard := s.(*ShardsSource).shards[0].file.path
	require.NoError(t, os.Truncate(shard, 1000))
	_, err = s.Image(ctx, 2)
	require.ErrorContains(t, err, "ends after")
	require.NoError(t, os.Remove(shard))
	_, err = s.Image(ctx, 0)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, shard)
}

func TestShardIndex(t *testing.T) {
	dir := goldenFolder(t, "shard-000000.tar")
	index := t.TempDir()
	var notes []string
	with := func(o *OpenOptions) {
		o.Index, o.Labels = index, true
		o.Note = func(s string) {
			if !strings.Contains(s, "without an image") {
				notes = append(notes, s)
			}
		}
	}
	ageAll(t, dir)
	first := open(t, dir, with)
	files, err := filepath.Glob(filepath.Join(index, "shards-*.index"))
	require.NoError(t, err)
	require.Len(t, files, 1)

	// It is believed while size and time are the same: the same bytes with another label inside are not noticed …
	path := filepath.Join(dir, "shard-000000.tar")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	edited := bytes.Replace(data, []byte("sample1.cls"), []byte("sample1.xyz"), 1)
	require.NotEqual(t, data, edited)
	rewrite := func(b []byte) {
		require.NoError(t, os.WriteFile(path, b, 0o644))
		require.NoError(t, os.Chtimes(path, info.ModTime(), info.ModTime()))
	}
	rewrite(make([]byte, len(data)))
	again := open(t, dir, with)
	assert.Equal(t, names(first), names(again))
	assert.Equal(t, labelsOf(first), labelsOf(again))
	require.Empty(t, notes)

	// … but for a rescan, or another time.
	rewrite(data)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "shard-000001.tar"), must(os.ReadFile(filepath.Join(sources, "shard-000001.tar"))), 0o644))
	ageAll(t, dir)
	both := open(t, dir, with)
	assert.Equal(t, goldenLabels, labelsOf(both), "one from the index, one new")
	for i := range both.Len() {
		equalGolden(t, both, i, i)
	}
	assert.Equal(t, goldenCaptions[4:], captionsOf(open(t, dir, with))[4:], "both from the index")
	known := (&folderIndex{dir: index}).loadShards(path, members{labelled: true})
	assert.Len(t, known, 2)

	good, err := os.ReadFile(files[0])
	require.NoError(t, err)
	good[len(good)/2] ^= 1
	require.NoError(t, os.WriteFile(files[0], good, 0o644))
	assert.Equal(t, names(both), names(open(t, dir, with)))
	require.Len(t, notes, 1)
	assert.Contains(t, notes[0], "its checksum is wrong: it is made anew")
}
