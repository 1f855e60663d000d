package runlog

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func step(n int) Step {
	return Step{
		Step: n, Epoch: float64(n) / 10, Loss: 0.5, Prediction: 0.25, SIGReg: 1.25, SIGRegSE: 0.01, SIGRegExpected: 1.0525,
		LR: 5e-4, GradNorm: 1.5, ImagesPerS: 321.5, WaitShare: 0.01, Seconds: float64(n),
	}
}

// write makes a log of steps 1..n with an evaluation after every fifth.
func write(t *testing.T, path string, n int) {
	t.Helper()
	w, err := Open(path, 0)
	require.NoError(t, err)
	for i := 1; i <= n; i++ {
		require.NoError(t, w.Step(step(i)))
		if i%5 == 0 {
			require.NoError(t, w.Eval(Eval{Step: i, Epoch: float64(i) / 10, Values: map[string]float64{"knn": 0.9}}))
		}
	}
	require.NoError(t, w.Close())
}

func TestLineFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	w, err := Open(path, 0)
	require.NoError(t, err)
	require.NoError(t, w.Step(step(1)))
	require.NoError(t, w.Eval(Eval{Step: 1, Epoch: 0.1, Values: map[string]float64{"linear": 0.97, "knn": 0.95}}))
	require.NoError(t, w.Close())

	got, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, `{"step":1,"epoch":0.1,"loss":0.5,"prediction":0.25,"sigreg":1.25,"sigreg_se":0.01,"sigreg_expected":1.0525,"lr":0.0005,`+
		`"grad_norm":1.5,"images_per_s":321.5,"wait_share":0.01,"seconds":1}
{"step":1,"epoch":0.1,"eval":{"knn":0.95,"linear":0.97}}
`, string(got))
}

func TestRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	write(t, path, 12)
	log, err := Read(path)
	require.NoError(t, err)
	require.Len(t, log.Steps, 12)
	require.Len(t, log.Evals, 2)
	assert.Equal(t, step(12), log.Steps[11])
	assert.Equal(t, Eval{Step: 10, Epoch: 1, Values: map[string]float64{"knn": 0.9}}, log.Evals[1])
}

func TestNonFinite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	w, err := Open(path, 0)
	require.NoError(t, err)
	s := step(1)
	s.Loss, s.SIGReg = math.NaN(), math.Inf(1)
	require.NoError(t, w.Step(s))
	require.NoError(t, w.Eval(Eval{Step: 1, Values: map[string]float64{"knn": math.NaN()}}))
	require.NoError(t, w.Close())

	log, err := Read(path)
	require.NoError(t, err)
	assert.True(t, math.IsNaN(log.Steps[0].Loss))
	assert.True(t, math.IsNaN(log.Steps[0].SIGReg))
	assert.Equal(t, 0.25, log.Steps[0].Prediction)
	assert.True(t, math.IsNaN(log.Evals[0].Values["knn"]))
}

func TestResume(t *testing.T) {
	whole := func(t *testing.T) string {
		path := filepath.Join(t.TempDir(), "metrics.jsonl")
		write(t, path, 12)
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		return string(b)
	}
	for _, tt := range []struct {
		name         string
		tail         string // added to a log of 12 steps and 2 evaluations
		after        int
		steps, evals int
	}{
		{"at the end", "", 12, 12, 2},
		{"further back", "", 10, 10, 2},
		{"before an evaluation", "", 9, 9, 1},
		{"from the start", "", 0, 0, 0},
		{"beyond the end", "", 99, 12, 2},
		{"half a line", `{"step":13,"epoch":1.3,"lo`, 12, 12, 2},
		{"half a line, further back", `{"step":13,"epoch":1.3,"lo`, 3, 3, 0},
		{"a record without its newline", `{"step":12,"epoch":1.2,"eval":{}}`, 12, 12, 2},
		{"zeros that a power failure left", "\x00\x00\x00\x00", 12, 12, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "metrics.jsonl")
			require.NoError(t, os.WriteFile(path, []byte(whole(t)+tt.tail), 0o644))
			w, err := Open(path, tt.after)
			require.NoError(t, err)
			require.NoError(t, w.Step(step(100)))
			require.NoError(t, w.Close())

			log, err := Read(path)
			require.NoError(t, err)
			require.Len(t, log.Steps, tt.steps+1)
			require.Len(t, log.Evals, tt.evals)
			for i, s := range log.Steps[:tt.steps] {
				assert.Equal(t, step(i+1), s)
			}
			assert.Equal(t, 100, log.Steps[tt.steps].Step)
		})
	}
}

// TestEvalBeforeTraining: an evaluation of the untrained encoder belongs to step 0 and outlasts every resumption.
func TestEvalBeforeTraining(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	w, err := Open(path, 0)
	require.NoError(t, err)
	require.NoError(t, w.Eval(Eval{Values: map[string]float64{"knn": 0.5}}))
	require.NoError(t, w.Step(step(1)))
	require.NoError(t, w.Step(step(2)))
	require.NoError(t, w.Close())

	w, err = Open(path, 1)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	log, err := Read(path)
	require.NoError(t, err)
	assert.Len(t, log.Evals, 1)
	assert.Len(t, log.Steps, 1)
}

func TestReadIgnoresHalfLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	write(t, path, 3)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(`{"step":4,`)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	log, err := Read(path)
	require.NoError(t, err)
	assert.Len(t, log.Steps, 3)
}

func TestBadLines(t *testing.T) {
	for _, tt := range []struct{ name, line, want string }{
		{"no JSON", "hello", "not a JSON record"},
		{"no step", `{"loss":1}`, `no "step"`},
		{"neither kind", `{"step":1}`, `neither "loss" nor "eval" nor "back"`},
		{"a word for a figure", `{"step":1,"loss":"high"}`, "loss"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "metrics.jsonl")
			write(t, path, 2)
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, append(b, tt.line+"\n"...), 0o644))

			_, err = Read(path)
			require.ErrorContains(t, err, tt.want)
			assert.ErrorContains(t, err, "metrics.jsonl: line 3")
			_, err = Open(path, 9)
			assert.ErrorContains(t, err, "metrics.jsonl: line 3")
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.Equal(t, string(b)+tt.line+"\n", string(after), "a file that is not understood is left alone")
		})
	}
}

// TestGarbageAfterLossOfPower: what is behind the last step that counts may be anything.
func TestGarbageAfterLossOfPower(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	write(t, path, 5)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append(b, "\x00\x00\x00\n\x00"...), 0o644))
	w, err := Open(path, 5)
	require.NoError(t, err)
	require.NoError(t, w.Step(step(6)))
	require.NoError(t, w.Close())
	log, err := Read(path)
	require.NoError(t, err)
	assert.Len(t, log.Steps, 6)
}

// TestStepsBack: whatever a run had written when it was killed, its record ends with the steps back that led to its state.
func TestStepsBack(t *testing.T) {
	first := Back{Step: 4, Epoch: 0.4, From: 7, Seed: math.MaxUint64}
	second := Back{Step: 2, Epoch: 0.2, From: 6, Seed: 5}
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	for _, s := range []struct {
		after, upTo int
		backs       []Back
	}{
		{0, 6, nil}, {4, 4, []Back{first}}, {4, 5, []Back{first}}, {4, 5, []Back{first}}, {2, 2, []Back{first, second}}, {2, 8, []Back{first, second}},
		{7, 9, []Back{first, second}},
	} {
		w, err := Open(path, s.after, s.backs...)
		require.NoError(t, err)
		for i := s.after + 1; i <= s.upTo; i++ {
			require.NoError(t, w.Step(step(i)))
		}
		require.NoError(t, w.Close())
		log, err := Read(path)
		require.NoError(t, err)
		assert.Equal(t, s.backs, log.Backs)
		require.Len(t, log.Steps, s.upTo)
		assert.Equal(t, s.upTo, log.Steps[s.upTo-1].Step)
	}
	w, err := Open(path, 9, first)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	log, err := Read(path)
	require.NoError(t, err)
	assert.Equal(t, []Back{first}, log.Backs, "what the run's state does not know of is cut off")
	assert.Len(t, log.Steps, 2)
}

func TestMissingFolder(t *testing.T) {
	_, err := Open(filepath.Join(t.TempDir(), "gone", "metrics.jsonl"), 0)
	assert.ErrorIs(t, err, os.ErrNotExist)
	_, err = Read(filepath.Join(t.TempDir(), "metrics.jsonl"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestFullDisk(t *testing.T) {
	f, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Skip("this system has no /dev/full to stand for a full disk")
	}
	w := &Writer{f: f}
	err = w.Step(step(1))
	require.ErrorIs(t, err, syscall.ENOSPC)
	assert.ErrorContains(t, err, "writing metrics")
	assert.Zero(t, w.size)
	require.NoError(t, f.Close())
}

// TestHalfWritten: what a write left behind before it failed is cut off again.
func TestHalfWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	write(t, path, 2)
	w, err := Open(path, 2)
	require.NoError(t, err)
	_, err = w.f.WriteString(`{"step":3,`)
	require.NoError(t, err)
	require.NoError(t, w.cut())
	require.NoError(t, w.Step(step(3)))
	require.NoError(t, w.Close())
	log, err := Read(path)
	require.NoError(t, err)
	assert.Len(t, log.Steps, 3)
}

func FuzzRead(f *testing.F) {
	f.Add(`{"step":1,"loss":null}` + "\n" + `{"step":1,"eval":{"knn":1}}` + "\n")
	f.Add(`{"step":1,"epoch":0.5,"back":{"from":3,"seed":"18446744073709551615"}}` + "\n")
	f.Add(`{"step":1e3,"loss":2}` + "\n{")
	f.Fuzz(func(t *testing.T, text string) {
		var n int
		size, err := scan(strings.NewReader(text), func(r record, at int64) bool {
			kinds := 0
			for _, is := range []bool{r.step != nil, r.eval != nil, r.back != nil} {
				if is {
					kinds++
				}
			}
			if kinds != 1 || at >= int64(len(text)) {
				t.Fatalf("a line at %d of %d bytes is of %d kinds", at, len(text), kinds)
			}
			n++
			return true
		})
		if err == nil && (size > int64(len(text)) || n > strings.Count(text, "\n")) {
			t.Fatalf("%d records in %d of %d bytes", n, size, len(text))
		}
	})
}
