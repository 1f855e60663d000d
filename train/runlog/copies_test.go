package runlog

import (
	"bytes"
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/train/runlog/tfevents"
)

// rows reads a CSV file of dir.
func rows(t *testing.T, dir, name string) [][]string {
	f, err := os.Open(filepath.Join(dir, name))
	require.NoError(t, err)
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	require.NoError(t, err)
	return all
}

// eventFile is what TensorBoard's file of dir holds; it is the only one.
func eventFile(t *testing.T, dir string) []byte {
	files, err := filepath.Glob(filepath.Join(dir, "*tfevents*"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	b, err := os.ReadFile(files[0])
	require.NoError(t, err)
	return b
}

// TestCopies writes a run of two sessions, of which the first got further than its last checkpoint.
func TestCopies(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "metrics.jsonl")
	session := func(after, upTo int, formats ...string) {
		w, err := Open(path, after)
		require.NoError(t, err)
		require.NoError(t, w.Also(dir, formats...))
		for i := after + 1; i <= upTo; i++ {
			require.NoError(t, w.Step(step(i)))
			if i%5 == 0 {
				require.NoError(t, w.Eval(Eval{Step: i, Epoch: float64(i) / 10, Values: map[string]float64{"linear, 1": 0.5, "knn": math.NaN()}}))
			}
		}
		require.NoError(t, w.Close())
	}
	check := func(steps int) {
		t.Helper()
		got := rows(t, dir, "metrics.csv")
		assert.Equal(t, []string{"step", "epoch", "loss", "prediction", "sigreg", "sigreg_se", "sigreg_expected", "lr", "grad_norm",
			"images_per_s", "wait_share", "seconds"}, got[0])
		require.Len(t, got, 1+steps)
		for i, row := range got[1:] {
			assert.Equal(t, []string{strconv.Itoa(i + 1), cell(float64(i+1) / 10), "0.5", "0.25", "1.25", "0.01", "1.0525", "0.0005", "1.5",
				"321.5", "0.01", strconv.Itoa(i + 1)}, row)
		}
		got = rows(t, dir, "evaluations.csv")
		require.Len(t, got, 1+2*(steps/5))
		assert.Equal(t, [][]string{{"step", "epoch", "name", "value"}, {"5", "0.5", "knn", ""}, {"5", "0.5", "linear, 1", "0.5"}}, got[:3])
	}
	session(0, 12, CSV)
	check(12)
	session(8, 9) // copies are as they were
	check(12)
	session(7, 11, TensorBoard, CSV)
	check(11)
	first := eventFile(t, dir)
	session(6, 16, CSV, TensorBoard)
	check(16)
	assert.Greater(t, len(eventFile(t, dir)), len(first))
}

// TestEventTimes: steps of the past have the times at which they would have been.
func TestEventTimes(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	log := &Log{Steps: []Step{step(1), step(2), step(3)}, Evals: []Eval{{Step: 2, Values: map[string]float64{"knn": 1}}}}
	path := filepath.Join(t.TempDir(), "events")
	f, err := recreate(path, newEvents(log, now, figures), log)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	got, err := os.ReadFile(path)
	require.NoError(t, err)

	scalars := func(b []byte, ago time.Duration, i int) []byte {
		s := step(i)
		return tfevents.AppendScalars(b, now.Add(-ago), int64(i), []tfevents.Scalar{
			{Tag: "train/epoch", Value: s.Epoch}, {Tag: "train/loss", Value: s.Loss}, {Tag: "train/prediction", Value: s.Prediction},
			{Tag: "train/sigreg", Value: s.SIGReg}, {Tag: "train/sigreg_se", Value: s.SIGRegSE},
			{Tag: "train/sigreg_expected", Value: s.SIGRegExpected}, {Tag: "train/lr", Value: s.LR},
			{Tag: "train/grad_norm", Value: s.GradNorm}, {Tag: "train/images_per_s", Value: s.ImagesPerS}, {Tag: "train/wait_share", Value: s.WaitShare},
			{Tag: "train/seconds", Value: s.Seconds},
		})
	}
	want := tfevents.AppendStart(nil, now)
	want = scalars(want, 2*time.Second, 1)
	want = scalars(want, time.Second, 2)
	want = tfevents.AppendScalars(want, now.Add(-time.Second), 2, []tfevents.Scalar{{Tag: "eval/knn", Value: 1}})
	want = scalars(want, 0, 3)
	assert.Equal(t, want, got)
}

// TestEvaluatedAgain: an evaluation after the same step takes the place of the one before, in all formats.
func TestEvaluatedAgain(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "metrics.jsonl")
	for session, knn := range []float64{0.25, 0.5} {
		w, err := Open(path, 2*session)
		require.NoError(t, err)
		require.NoError(t, w.Also(dir, CSV, TensorBoard))
		for i := 2*session + 1; i <= 2; i++ {
			require.NoError(t, w.Step(step(i)))
		}
		require.NoError(t, w.Eval(Eval{Step: 2, Epoch: 0.2, Values: map[string]float64{"knn": knn}}))
		require.NoError(t, w.Eval(Eval{Step: 2, Epoch: 0.2, Values: map[string]float64{"knn": knn + 0.125}}))
		require.NoError(t, w.Close())
	}
	log, err := Read(path)
	require.NoError(t, err)
	assert.Equal(t, []Eval{{Step: 2, Epoch: 0.2, Values: map[string]float64{"knn": 0.625}}}, log.Evals)
	assert.Len(t, log.Steps, 2)
	assert.Len(t, rows(t, dir, "metrics.csv"), 3)
	assert.Equal(t, [][]string{{"step", "epoch", "name", "value"}, {"2", "0.2", "knn", "0.625"}}, rows(t, dir, "evaluations.csv"))
	assert.Equal(t, 1, bytes.Count(eventFile(t, dir), []byte("eval/knn")))
}

// TestClockJump: a run goes on although the clock says that it has not begun yet.
func TestClockJump(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "metrics.jsonl")
	now := time.UnixMilli(1_700_000_000_000)
	for session, jump := range []time.Duration{0, -48 * time.Hour, 24 * 365 * time.Hour, 0} {
		w, err := Open(path, session)
		require.NoError(t, err)
		w.now = func() time.Time { return now.Add(jump) }
		require.NoError(t, w.Also(dir, CSV, TensorBoard))
		require.NoError(t, w.Step(step(session+1)))
		require.NoError(t, w.Close())
		assert.Equal(t, session+1, bytes.Count(eventFile(t, dir), []byte("train/loss")), "each step once, in the only file")
		assert.Len(t, rows(t, dir, "metrics.csv"), 2+session)
	}
}

func TestUnknownFormat(t *testing.T) {
	dir := t.TempDir()
	w, err := Open(filepath.Join(dir, "metrics.jsonl"), 0)
	require.NoError(t, err)
	defer w.Close()
	assert.EqualError(t, w.Also(dir, "xml"), `keeping metrics: format "xml", expected one of ["csv" "tensorboard"]`)
	assert.ErrorIs(t, w.Also(filepath.Join(dir, "gone"), CSV), os.ErrNotExist)
}

func TestFullDiskOfACopy(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this system has no /dev/full to stand for a full disk")
	}
	w, err := Open(filepath.Join(t.TempDir(), "metrics.jsonl"), 0)
	require.NoError(t, err)
	w.copies = []copied{{stepRows{}, full}}
	assert.ErrorContains(t, w.Step(step(1)), "writing metrics")
	require.NoError(t, w.Close())
}

// TestTexts: figures of captions are in every format, those of a step without any as nothing, and a run of images alone has no place for
// them.
func TestTexts(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "metrics.jsonl")
	w, err := Open(path, 0)
	require.NoError(t, err)
	w.WithTexts()
	require.NoError(t, w.Also(dir, CSV, TensorBoard))
	with, none := step(1), step(2)
	with.Texts = &Texts{Captions: 7, Prediction: 0.5, SIGReg: 0}
	none.Texts = &Texts{Prediction: math.NaN(), SIGReg: math.NaN()}
	require.NoError(t, w.Step(with))
	require.NoError(t, w.Step(none))
	require.NoError(t, w.Close())
	line, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Contains(t, string(line), `"captions":7,"text_prediction":0.5,"text_sigreg":0}`)
	assert.Contains(t, string(line), `"captions":0,"text_prediction":null,"text_sigreg":null}`)
	log, err := Read(path)
	require.NoError(t, err)
	assert.Equal(t, with, log.Steps[0])
	assert.Zero(t, log.Steps[1].Texts.Captions)
	assert.True(t, math.IsNaN(log.Steps[1].Texts.Prediction))
	got := rows(t, dir, "metrics.csv")
	assert.Equal(t, []string{"captions", "text_prediction", "text_sigreg"}, got[0][12:])
	assert.Equal(t, []string{"7", "0.5", "0"}, got[1][12:])
	assert.Equal(t, []string{"0", "", ""}, got[2][12:])
	assert.Equal(t, 2, bytes.Count(eventFile(t, dir), []byte("train/text_prediction")))

	assert.Len(t, Compare(step(1), step(1)), 8)
	compared := Compare(with, none)
	require.Len(t, compared, 11)
	assert.Equal(t, Compared{"captions", 7, 0, false}, compared[8])
	assert.True(t, Compare(none, none)[10].Identical)
}
