package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/eval/store"
	"github.com/gojepa/gojepa/internal/npy"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
	"github.com/gojepa/gojepa/torch/weights"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

func TestMain(m *testing.M) { torchtest.Main(m) }

// execute runs a command line as main does, with few simulations and without a picture unless it says otherwise.
func execute(line ...string) (code int, out, log string) {
	var stdout, stderr bytes.Buffer
	o := defaults()
	o.Slices, o.Simulations, o.Directions, o.Picture, o.Threads = 16, 19, 2, "none", 1
	code = command(&o).Main(line, &stdout, &stderr, func(ctx context.Context, args []string) error {
		return run(ctx, o, args, &stdout, &stderr)
	})
	return code, stdout.String(), stderr.String()
}

// embeddings are 60 rows of 3: uniform numbers of mean 0 and variance 1, the last of which is all but the first again.
func embeddings() []float64 {
	x := torchtest.Values(11, 180)
	for i := 0; i < 180; i += 3 {
		x[i+2] = x[i] + 0.05*x[i+2]
	}
	return x
}

func writeNPY[T npy.Number](t *testing.T, path string, shape []int, data []T) string {
	var b bytes.Buffer
	require.NoError(t, npy.Write(&b, shape, data))
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o644))
	return path
}

// digits blanks figures and the room that they take: what the text says does not depend on them.
func digits(text string) string {
	text = regexp.MustCompile(`[+-]?[0-9]+(\.[0-9]+)?(e-?[0-9]+)?`).ReplaceAllString(text, "#")
	return regexp.MustCompile(` +`).ReplaceAllString(text, " ")
}

func TestText(t *testing.T) {
	dir := t.TempDir()
	file := writeNPY(t, filepath.Join(dir, "x.npy"), []int{60, 3}, embeddings())
	code, out, log := execute(file)
	require.Equal(t, 0, code, log)
	if *update {
		require.NoError(t, os.WriteFile("testdata/report.txt", []byte(digits(strings.ReplaceAll(out, file, "x.npy"))), 0o644))
	}
	golden, err := os.ReadFile("testdata/report.txt")
	require.NoError(t, err)
	assert.Equal(t, string(golden), digits(strings.ReplaceAll(out, file, "x.npy")))
	assert.Contains(t, out, "60 rows of 3 numbers (float64)")
	assert.Contains(t, out, "p = 0.05 for all together")
	assert.Contains(t, log, "set 20/20 100%")
	for _, line := range strings.Split(out, "\n") {
		assert.LessOrEqual(t, len([]rune(line)), 120, line)
	}
}

func TestJSONAndPicture(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	writeNPY(t, "x.npy", []int{60, 3}, embeddings())
	code, out, log := execute("x.npy", "--picture", "", "--json", "x.json", "--samples", "50", "--seed", "3")
	require.Equal(t, 0, code, log)
	assert.Contains(t, out, "\npicture: x.gaussianity.png\n")
	f, err := os.Open("x.gaussianity.png")
	require.NoError(t, err)
	defer f.Close()
	m, err := png.Decode(f)
	require.NoError(t, err)
	assert.Equal(t, 1500, m.Bounds().Dx())

	text, err := os.ReadFile("x.json")
	require.NoError(t, err)
	var r result
	require.NoError(t, json.Unmarshal(text, &r))
	assert.Equal(t, []any{"x.npy", "float64", "x.gaussianity.png"}, []any{r.File, r.DType, r.Picture})
	assert.Equal(t, []int{60, 50, 3, 16, 19, 3}, []int{r.Rows, r.Samples, r.Dim, r.Slices, r.Simulations, int(r.Seed)})
	assert.Len(t, r.Spectrum, 3)
	assert.InDelta(t, 0.05, r.P, 1e-12)

	code, again, _ := execute("x.npy", "--json", "-", "--samples", "50", "--seed", "3")
	require.Equal(t, 0, code)
	assert.Equal(t, strings.Replace(string(text), "  \"picture\": \"x.gaussianity.png\",\n", "", 1), again)
}

// TestFormats: the same embeddings in every format give the same numbers.
func TestFormats(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	x := embeddings()
	small := make([]float32, len(x))
	half := make([]byte, 0, 2*len(x))
	for i, v := range x {
		// Numbers that bfloat16 has, and float16 too.
		v = math.Float64frombits(math.Float64bits(v) &^ (1<<46 - 1))
		x[i], small[i] = v, float32(v)
		half = binary.LittleEndian.AppendUint16(half, uint16(math.Float32bits(small[i])>>16))
	}
	writeNPY(t, at("f8.npy"), []int{60, 3}, x)
	writeNPY(t, at("f4.npy"), []int{60, 3}, small)
	header := func(name, descr, order string, data []byte) {
		h := "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': (60, 3), }"
		b := append([]byte("\x93NUMPY\x01\x00"), byte(len(h)), 0)
		require.NoError(t, os.WriteFile(at(name), append(append(b, h...), data...), 0o644))
	}
	var columns []float64
	for j := range 3 {
		for i := range 60 {
			columns = append(columns, x[3*i+j])
		}
	}
	encode := func(order binary.ByteOrder, v any) []byte {
		b, err := binary.Append(nil, order, v)
		require.NoError(t, err)
		return b
	}
	header("fortran.npy", "<f8", "True", encode(binary.LittleEndian, columns))
	header("big.npy", ">f4", "False", encode(binary.BigEndian, small))
	torchtest.Do(t, func(s *torch.Scope) {
		header("f2.npy", "<f2", "False", s.FromFloat32(small, 60, 3).To(torch.Float16).Bytes())
	})
	info := func(name string, d weights.DType, shape ...int64) weights.Info {
		return weights.Info{Name: name, DType: d, Shape: shape}
	}
	save := func(name string, entries ...weights.Entry) {
		require.NoError(t, weights.SaveFile(at(name), entries, nil))
	}
	other := weights.NewEntry(info("other", weights.F32, 2, 2), make([]byte, 16))
	save("features.safetensors", other, weights.NewEntry(info("features", weights.F32, 60, 3), encode(binary.LittleEndian, small)))
	save("named.safetensors", other, weights.NewEntry(info("z", weights.F64, 60, 3), encode(binary.LittleEndian, x)))
	save("only.safetensors", weights.NewEntry(info("z", weights.BF16, 60, 3), half), weights.NewEntry(info("v", weights.F32, 4), make([]byte, 16)))

	var want string
	for _, line := range [][]string{
		{"f8.npy"}, {"f4.npy"}, {"f2.npy"}, {"fortran.npy"}, {"big.npy"}, {"features.safetensors"},
		{"named.safetensors", "--tensor", "z"}, {"only.safetensors"},
	} {
		line[0] = at(line[0])
		code, out, log := execute(append(line, "--directions", "0")...)
		require.Equal(t, 0, code, log)
		_, out, _ = strings.Cut(out, "\n")
		if want == "" {
			want = out
		}
		assert.Equal(t, want, out, line)
	}
}

// TestSet: a set in shards is examined like the file of all its rows.
func TestSet(t *testing.T) {
	dir := t.TempDir()
	x := embeddings()
	single := make([]float32, len(x))
	for i, v := range x {
		single[i] = float32(v)
	}
	_, err := store.Write(context.Background(), store.Options{Path: filepath.Join(dir, "set.parquet"), Images: len(x) / 3, ShardRows: 13, Dim: 3},
		func(_ context.Context, from, to int, add func(store.Rows) error) ([]store.LeftOut, error) {
			return nil, add(store.Rows{X: single[from*3 : to*3]})
		})
	require.NoError(t, err)
	file := writeNPY(t, filepath.Join(t.TempDir(), "whole.npy"), []int{len(x) / 3, 3}, single)
	var numbers []string
	for _, path := range []string{file, dir, filepath.Join(dir, "set.index.json")} {
		code, out, log := execute(path, "--simulations", "19", "--picture", "none")
		require.Equal(t, 0, code, log)
		numbers = append(numbers, strings.ReplaceAll(out, path, "FILE"))
	}
	assert.Equal(t, numbers[0], numbers[1])
	assert.Equal(t, numbers[0], numbers[2])
	code, _, log := execute(dir, "--tensor", "x")
	assert.Equal(t, 1, code)
	assert.Contains(t, log, "--tensor x: expected the file that has it")
}

func TestHelp(t *testing.T) {
	code, out, _ := execute("--help")
	assert.Equal(t, 0, code)
	assert.Contains(t, out, "Usage: gaussianity [flags] FILE")
	for _, flag := range []string{"tensor", "standardise", "samples", "slices", "simulations", "directions", "seed", "picture", "json", "threads"} {
		assert.Contains(t, out, "  --"+flag, "help names every flag")
	}
	for _, line := range strings.Split(out, "\n") {
		assert.LessOrEqual(t, len([]rune(line)), 120, line)
	}
}

func TestBadInput(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	x := embeddings()
	good := writeNPY(t, at("good.npy"), []int{60, 3}, x)
	whole, err := os.ReadFile(good)
	require.NoError(t, err)
	file := func(name string, data []byte) string {
		require.NoError(t, os.WriteFile(at(name), data, 0o644))
		return at(name)
	}
	array := func(name string, shape []int, data []float64) string { return writeNPY(t, at(name), shape, data) }
	nan := slices.Clone(x)
	nan[7], nan[11] = math.NaN(), math.Inf(1)
	var entries []weights.Entry
	for _, name := range []string{"b", "a", "c"} {
		entries = append(entries, weights.NewEntry(weights.Info{Name: name, DType: weights.I64, Shape: []int64{1, 2}}, make([]byte, 16)))
	}
	require.NoError(t, weights.SaveFile(at("three.safetensors"), entries, nil))
	require.NoError(t, weights.SaveFile(at("none.safetensors"), nil, nil))
	tensors, err := os.ReadFile(at("three.safetensors"))
	require.NoError(t, err)

	for _, c := range []struct {
		code int
		want string
		line []string
	}{
		{2, "0 arguments, expected one: the file of embeddings", nil},
		{2, "2 arguments, expected one", []string{good, good}},
		{2, "--standardise: \"white\" is not one of none, scale, whiten", []string{good, "--standardise", "white"}},
		{2, "--simulations: 5, expected 19 or more", []string{good, "--simulations", "5"}},
		{2, "--slices: 0, expected 2 or more", []string{good, "--slices", "0"}},
		{2, "--samples: 3, expected 0 for all, or 8 or more", []string{good, "--samples", "3"}},
		{2, "--directions: -1, expected 0 or more", []string{good, "--directions", "-1"}},
		{2, "--threads: -1, expected 0 or more", []string{good, "--threads", "-1"}},
		{2, "--picture: \"a.jpg\", expected a name that ends in .png, or none", []string{good, "--picture", "a.jpg"}},
		{2, "--picture: there is no folder " + at("gone"), []string{good, "--picture", at("gone/a.png")}},
		{2, "--json: there is no folder " + at("gone"), []string{good, "--json", at("gone/a.json")}},
		{1, "no such file", []string{at("gone.npy")}},
		{1, "a folder with 0 files NAME.index.json, expected one", []string{dir}},
		{1, "good.npy: --tensor z: a .npy file has one array", []string{good, "--tensor", "z"}},
		{1, "cut.npy: the file is cut short: 1432 bytes of [60 3], expected 1440", []string{file("cut.npy", whole[:len(whole)-8])}},
		{1, "head.npy: npy: header: unexpected EOF", []string{file("head.npy", whole[:50])}},
		{1, "empty.npy: no .npy file, and as a file of tensors: the file is empty", []string{file("empty.npy", nil)}},
		{1, "text.npy: no .npy file, and as a file of tensors: unknown format", []string{file("text.npy", []byte("0.1, 0.2\n"))}},
		{1, `int.npy: elements of type "<i8", expected float16, float32 or float64`, []string{writeNPY(t, at("int.npy"), []int{2, 2}, make([]int64, 4))}},
		{1, "flat.npy: shape [180]: expected two dimensions", []string{array("flat.npy", []int{180}, x)}},
		{1, "views.npy: shape [2 30 3]: expected two dimensions, samples and their numbers. If the first are views", []string{array("views.npy", []int{2, 30, 3}, x)}},
		{1, "one.npy: embeddings are float64[1 180]: expected 8 rows", []string{array("one.npy", []int{1, 180}, x)}},
		{1, "rows.npy: embeddings are float64[0 3]: expected 8 rows", []string{array("rows.npy", []int{0, 3}, nil)}},
		{1, "columns.npy: embeddings are float64[9 0]", []string{array("columns.npy", []int{9, 0}, nil)}},
		{1, "nan.npy: row 2 holds NaN: 2 of 60 rows are not finite", []string{array("nan.npy", []int{60, 3}, nan)}},
		{1, "equal.npy: all rows are equal: there is no variance to scale by; --standardise none", []string{array("equal.npy", []int{9, 2}, make([]float64, 18))}},
		{1, "wide.npy: the covariance has no inverse to whiten by: 9 samples vary in 8 of 20 dimensions; --standardise scale", []string{array("wide.npy", []int{9, 20}, x), "--standardise", "whiten"}},
		{1, "three.safetensors: 3 tensors are matrices: choose one with --tensor; there are: a int64[1 2], b int64[1 2], c int64[1 2]", []string{at("three.safetensors")}},
		{1, "three.safetensors: --tensor d: there is no such tensor; there are: a int64[1 2], b", []string{at("three.safetensors"), "--tensor", "d"}},
		{1, "three.safetensors: tensor b: elements of type int64, expected float16, bfloat16, float32 or float64", []string{at("three.safetensors"), "--tensor", "b"}},
		{1, "none.safetensors: no tensor is a matrix; there are: none", []string{at("none.safetensors")}},
		{1, "cut.safetensors: no .npy file, and as a file of tensors: header", []string{file("cut.safetensors", tensors[:len(tensors)-1])}},
		{1, "writing " + dir, []string{array("eight.npy", []int{8, 1}, x[:8]), "--json", dir}},
	} {
		code, out, log := execute(c.line...)
		assert.Equal(t, c.code, code, c.want)
		assert.Contains(t, log, c.want)
		assert.Empty(t, out)
	}
}
