package store

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// value is feature j of image i.
func value(i, j int) float32 { return float32(i) + float32(j)/16 }

// broken says which images have no row.
func broken(i int) bool { return i%5 == 3 }

func name(i int) string { return fmt.Sprintf("dir \"%d\"/é\n%d.png", i, i) }

// produce makes rows two at a time, and fails before image stop.
func produce(dim, stop int, seen *[]int) Produce {
	return func(ctx context.Context, from, to int, add func(Rows) error) (left []LeftOut, err error) {
		var r Rows
		for i := from; i < to; i++ {
			if i == stop {
				return nil, errors.New("killed")
			}
			*seen = append(*seen, i)
			if broken(i) {
				left = append(left, LeftOut{name(i), "broken"})
				continue
			}
			for j := range dim {
				r.X = append(r.X, value(i, j))
			}
			r.Names, r.Labels = append(r.Names, name(i)), append(r.Labels, i%3-1)
			if len(r.Names) == 2 {
				if err := add(r); err != nil {
					return nil, err
				}
				r = Rows{}
			}
		}
		return left, add(r)
	}
}

func options(path string, images, rows int) Options {
	return Options{
		Path: path, Images: images, ShardRows: rows, Dim: 3, Named: true, Labelled: true, Classes: []string{"a", "b"},
		Encoder: []byte(`{"model":"m"}`), MadeWith: map[string]string{"weights": "w", "data": "d"}, Resume: true,
	}
}

func requireRows(t *testing.T, x Part, images int) {
	t.Helper()
	at := 0
	for i := range images {
		if broken(i) {
			continue
		}
		require.Equal(t, []float32{value(i, 0), value(i, 1), value(i, 2)}, x.Row(at))
		require.Equal(t, name(i), x.Names[at])
		require.Equal(t, i%3-1, x.Labels[at])
		at++
	}
	require.Equal(t, at, x.N)
	require.Equal(t, []string{"a", "b"}, x.Classes)
}

// TestFormats: what is written is read again, in one file and in several.
func TestFormats(t *testing.T) {
	ctx := context.Background()
	for _, ext := range []string{".npy", ".safetensors", ".parquet"} {
		for _, rows := range []int{100, 17, 7} {
			dir := t.TempDir()
			path := filepath.Join(dir, "e"+ext)
			x, err := Write(ctx, options(path, 17, rows), produce(3, -1, new([]int)))
			require.NoError(t, err)
			assert.True(t, x.Complete)
			assert.Equal(t, 14, x.Rows)
			assert.Equal(t, 3, x.LeftOut())
			if rows == 7 {
				require.Len(t, x.Shards, 3)
				assert.Equal(t, "e-00001-of-00003"+ext, x.Shards[1].File)
				assert.Equal(t, []LeftOut{{name(8), "broken"}, {name(13), "broken"}}, x.Shards[1].LeftOut)
				assert.NoFileExists(t, path)
			} else {
				assert.Equal(t, "e"+ext, x.Shards[0].File)
			}
			for _, by := range []string{path, dir, filepath.Join(dir, "e.index.json")} {
				set, err := Open(by)
				require.NoError(t, err)
				require.NoError(t, set.Verify(ctx))
				all, err := set.Load(ctx)
				require.NoError(t, err, ext)
				requireRows(t, all, 17)
			}
		}
	}
}

func TestCSV(t *testing.T) {
	path := filepath.Join(t.TempDir(), "e.csv")
	_, err := Write(context.Background(), options(path, 4, 9), produce(3, -1, new([]int)))
	require.NoError(t, err)
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	got, err := csv.NewReader(f).ReadAll()
	require.NoError(t, err)
	assert.Equal(t, [][]string{
		{"file", "label", "f0", "f1", "f2"}, {name(0), "", "0", "0.0625", "0.125"}, {name(1), "a", "1", "1.0625", "1.125"}, {name(2), "b", "2", "2.0625", "2.125"},
	}, got)
	set, err := Open(path)
	require.NoError(t, err)
	_, err = set.Load(context.Background())
	assert.ErrorContains(t, err, "not from .csv")
}

// TestResume: after each interruption the next call begins at the last whole shard, and the files come out the same.
func TestResume(t *testing.T) {
	ctx := context.Background()
	for _, ext := range Formats {
		whole := t.TempDir()
		_, err := Write(ctx, options(filepath.Join(whole, "e"+ext), 23, 4), produce(3, -1, new([]int)))
		require.NoError(t, err)

		dir := t.TempDir()
		path := filepath.Join(dir, "e"+ext)
		var said []string
		o := options(path, 23, 4)
		o.Note = func(s string) { said = append(said, s) }
		require.NoError(t, os.WriteFile(filepath.Join(dir, ".e-00000-of-00006"+ext+".77-0.tmp"), nil, 0o644)) // of one that was killed
		for _, stop := range []int{2, 9, 10, 22, -1} {
			seen := []int{}
			before, _ := ReadIndex(IndexPath(path))
			_, err := Write(ctx, o, produce(3, stop, &seen))
			if before != nil {
				assert.Equal(t, len(before.Shards)*4, seen[0])
			}
			if stop >= 0 {
				require.ErrorContains(t, err, "killed")
				if stop > 4 {
					_, err = Open(path)
					require.ErrorContains(t, err, "not complete")
				}
				continue
			}
			require.NoError(t, err)
		}
		assert.Contains(t, strings.Join(said, "\n"), "going on after 5 of 6 shards")
		files, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, f := range files {
			want, err := os.ReadFile(filepath.Join(whole, f.Name()))
			require.NoError(t, err)
			got, err := os.ReadFile(filepath.Join(dir, f.Name()))
			require.NoError(t, err)
			assert.True(t, string(want) == string(got), f.Name())
		}

		// A set that is complete is left alone, unless a file is missing or it is to be made anew.
		seen := []int{}
		_, err = Write(ctx, o, produce(3, -1, &seen))
		require.NoError(t, err)
		assert.Empty(t, seen)
		require.NoError(t, os.Truncate(filepath.Join(dir, "e-00004-of-00006"+ext), 5))
		_, err = Write(ctx, o, produce(3, -1, &seen))
		require.NoError(t, err)
		assert.Equal(t, 16, seen[0])
		assert.Len(t, seen, 7)
	}
}

func TestRefusesWhatDiffers(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "e.npy")
	o := options(path, 23, 4)
	_, err := Write(ctx, o, produce(3, 9, new([]int)))
	require.Error(t, err)
	for want, change := range map[string]func(o *Options){
		"weights was w and is v":      func(o *Options) { o.MadeWith = map[string]string{"weights": "v", "data": "d"} },
		"data was d and is not given": func(o *Options) { o.MadeWith = map[string]string{"weights": "w"} },
		"precision was not given and is bf16": func(o *Options) {
			o.MadeWith = map[string]string{"weights": "w", "data": "d", "precision": "bf16"}
		},
		"images was 23 and is 24":    func(o *Options) { o.Images = 24 },
		"shard_rows was 4 and is 5":  func(o *Options) { o.ShardRows = 5 },
		"shard_rows was 4 and is 8":  func(o *Options) { o.ShardRows = 8 },
		"shard_rows was 4 and is 50": func(o *Options) { o.ShardRows = 50 },
	} {
		changed := o
		change(&changed)
		_, err := Write(ctx, changed, produce(3, -1, new([]int)))
		require.ErrorIs(t, err, ErrDiffers)
		assert.ErrorContains(t, err, want)
	}
	o.ShardRows, o.Resume = 8, false
	_, err = Write(ctx, o, produce(3, -1, new([]int)))
	require.NoError(t, err)
	assert.NoFileExists(t, filepath.Join(filepath.Dir(path), "e-00000-of-00006.npy"))
	set, err := Open(path)
	require.NoError(t, err)
	all, err := set.Load(ctx)
	require.NoError(t, err)
	requireRows(t, all, 23)

	// Nor is a set in shards that is complete lost to a small one of the same name.
	small := options(path, 2, 8)
	_, err = Write(ctx, small, produce(3, -1, new([]int)))
	require.ErrorIs(t, err, ErrDiffers)
	small.Resume = false
	_, err = Write(ctx, small, produce(3, -1, new([]int)))
	require.NoError(t, err)
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Len(t, left, 4)
}

// TestConstantMemory: rows go to the file as they come, whatever their number.
func TestConstantMemory(t *testing.T) {
	for _, ext := range Formats {
		const dim, images, each = 512, 45_000, 100 // 92 MB
		var most uint64
		x := make([]float32, each*dim)
		for i := range x {
			x[i] = float32(i%977) / 977
		}
		runtime.GC()
		var before runtime.MemStats
		runtime.ReadMemStats(&before)
		n := images
		if ext == ".csv" {
			n /= 9
		}
		o := Options{Path: filepath.Join(t.TempDir(), "e"+ext), Images: n, ShardRows: n, Dim: dim}
		set, err := Write(context.Background(), o, func(_ context.Context, from, to int, add func(Rows) error) ([]LeftOut, error) {
			for i := from; i < to; i += each {
				if err := add(Rows{X: x}); err != nil {
					return nil, err
				}
				if i%5_000 == 0 || i == n-each {
					runtime.GC()
					var m runtime.MemStats
					runtime.ReadMemStats(&m)
					most = max(most, m.HeapAlloc)
				}
			}
			return nil, nil
		})
		require.NoError(t, err)
		t.Logf("%s: %d MB written, %d MB of memory", ext, set.Shards[0].Bytes>>20, (int64(most)-int64(before.HeapAlloc))>>20)
		limit := int64(4 << 20)
		if ext == ".parquet" {
			limit = 60 << 20 // a group of rows
		}
		assert.Less(t, int64(most)-int64(before.HeapAlloc), limit, ext)
	}
}

func TestBadInput(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	at := func(n string) string { return filepath.Join(dir, n) }
	for want, o := range map[string]Options{
		"expected a name that ends": options(at("e.txt"), 3, 3),
		"expected 1 or more":        options(at("e.npy"), 0, 3),
	} {
		_, err := Write(ctx, o, produce(3, -1, new([]int)))
		assert.ErrorContains(t, err, want)
	}
	o := options(at("none.npy"), 1, 3)
	_, err := Write(ctx, o, func(context.Context, int, int, func(Rows) error) ([]LeftOut, error) {
		return []LeftOut{{"x.png", "cut"}}, nil
	})
	assert.ErrorContains(t, err, "none of 1 images could be read, the last being x.png: cut")
	assert.NoFileExists(t, at("none.npy"))
	_, err = Write(ctx, o, func(_ context.Context, _, _ int, add func(Rows) error) ([]LeftOut, error) {
		return nil, add(Rows{X: make([]float32, 4), Names: []string{"a"}, Labels: []int{1}})
	})
	assert.ErrorContains(t, err, "expected rows of 3")
	_, err = Write(ctx, o, func(context.Context, int, int, func(Rows) error) ([]LeftOut, error) { return nil, nil })
	assert.ErrorContains(t, err, "expected 1 in all")

	_, err = Open(at("gone.npy"))
	assert.ErrorContains(t, err, "there is no gone.index.json")
	_, err = Open(dir)
	assert.ErrorContains(t, err, "a folder with 0 files")
	for want, text := range map[string]string{
		"no index of embeddings":       "{",
		`format "x"`:                   `{"format":"x"}`,
		"version 2":                    `{"format":"gojepa embeddings","version":2}`,
		"0 images":                     `{"format":"gojepa embeddings","version":1}`,
		`"../e" is not the name`:       `{"format":"gojepa embeddings","version":1,"images":1,"shard_images":1,"dim":1,"dtype":"float32","shards":[{"file":"../e","images":1}]}`,
		"expected those from 0 on":     `{"format":"gojepa embeddings","version":1,"images":1,"shard_images":1,"dim":1,"dtype":"float32","shards":[{"file":"e","images":1,"rows":2}]}`,
		"expected 7 and 1":             `{"format":"gojepa embeddings","version":1,"images":1,"rows":7,"shard_images":1,"dim":1,"dtype":"float32","shards":[{"file":"e","images":1,"rows":1}]}`,
		"expected the format of e.npy": `{"format":"gojepa embeddings","version":1,"images":2,"rows":0,"shard_images":1,"dim":1,"dtype":"float32","shards":[{"file":"e.npy","images":1},{"file":"e.csv","images":1,"first_image":1}]}`,
	} {
		require.NoError(t, os.WriteFile(at("bad.index.json"), []byte(text), 0o644))
		_, err := Open(at("bad.npy"))
		assert.ErrorContains(t, err, want)
	}

	// Files that are not as they were written.
	for _, ext := range []string{".npy", ".safetensors", ".parquet"} {
		path := filepath.Join(t.TempDir(), "e"+ext)
		_, err := Write(ctx, options(path, 4, 9), produce(3, -1, new([]int)))
		require.NoError(t, err)
		set, err := Open(path)
		require.NoError(t, err)
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, make([]byte, len(data)), 0o644))
		assert.ErrorContains(t, set.Verify(ctx), "not as it was written")
		_, err = set.Load(ctx)
		assert.Error(t, err)
		require.NoError(t, os.WriteFile(path, data[:len(data)-1], 0o644))
		_, err = set.Load(ctx)
		assert.ErrorContains(t, err, "it is not as it was written")
	}
}
