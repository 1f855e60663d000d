package trace

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// libtorch is what libtorch writes, of one thread that calls two others' operations, and of a device.
const libtorch = `{
  "schemaVersion": 1, "traceName": "/tmp/a", "baseTimeNanoseconds": 5,
  "traceEvents": [
    {"ph": "M", "name": "process_name", "ts": 0, "pid": 7, "tid": 0, "args": {"name": "train"}},
    {"ph": "X", "cat": "user_annotation", "name": "whole", "pid": 7, "tid": 7, "ts": 1000, "dur": 1000},
    {"ph": "X", "cat": "user_annotation", "name": "loss", "pid": 7, "tid": 7, "ts": 1100, "dur": 300},
    {"ph": "X", "cat": "user_annotation", "name": "SIGReg", "pid": 7, "tid": 7, "ts": 1200, "dur": 100},
    {"ph": "X", "cat": "cpu_op", "name": "aten::linear", "pid": 7, "tid": 7, "ts": 1100, "dur": 100, "args": {"External id": 3}},
    {"ph": "X", "cat": "cpu_op", "name": "aten::addmm", "pid": 7, "tid": 7, "ts": 1110, "dur": 80},
    {"ph": "X", "cat": "cpu_op", "name": "aten::addmm", "pid": 7, "tid": 8, "ts": 1110, "dur": 20},
    {"ph": "X", "cat": "cpu_op", "name": "torch::autograd::CppNode<(anonymous namespace)::MLP>", "pid": 7, "tid": 7, "ts": 1200, "dur": 10},
    {"ph": "X", "cat": "kernel", "name": "gemm", "pid": 0, "tid": "stream 7", "ts": 1300, "dur": 40},
    {"ph": "i", "name": "end", "ts": 2000, "pid": 7, "tid": 7, "s": "g"}
  ]
}`

func TestMergeAndSummarise(t *testing.T) {
	dir := t.TempDir()
	from, path := filepath.Join(dir, "from.json"), filepath.Join(dir, "trace.json")
	require.NoError(t, os.WriteFile(from, []byte(libtorch), 0o644))
	began := time.Now()
	at := func(µs int) time.Time { return began.Add(time.Duration(µs) * time.Microsecond) }
	var r Recorder
	r.Add("steps", "too early", began, at(1))
	r.Start()
	r.Add("steps", StepSpan(9), at(0), at(500))
	r.Add("steps", "waiting", at(0), at(100))
	r.Add("steps", StepSpan(10), at(500), at(1000))
	r.Add("a", "views", at(0), at(400))
	r.Add("b", "views", at(0), at(200))
	require.NoError(t, r.Merge(path, from, "whole", began))
	require.ErrorContains(t, r.Merge(path, from, "missing", began), `no span "missing"`)

	f, err := read(path)
	require.NoError(t, err)
	assert.Len(t, f.events, 10+1+3+5, "all of libtorch's, a process, three rows, five spans")
	assert.NotContains(t, f.rest, "traceName")
	assert.JSONEq(t, "5", string(f.rest["baseTimeNanoseconds"]))
	last := f.events[len(f.events)-1]
	assert.Equal(t, event{Phase: "X", Category: goCategory, Name: "views", Process: 1.0, Thread: 3.0, At: 1000, Duration: 200}, last)

	s, err := Summarise(path, "whole")
	require.NoError(t, err)
	ms := func(µs int) time.Duration { return time.Duration(µs) * time.Microsecond }
	assert.Equal(t, &Summary{
		Path: path, Steps: "9 to 10", Whole: ms(1000),
		Spans: []Row{
			{Name: "step", Lanes: 1, Calls: 2, Time: ms(1000), Share: 1},
			{Name: "waiting", Lanes: 1, Calls: 1, Time: ms(100), Share: 0.1, Depth: 1},
			{Name: "loss", Lanes: 1, Calls: 1, Time: ms(300), Share: 0.3},
			{Name: "SIGReg", Lanes: 1, Calls: 1, Time: ms(100), Share: 0.1, Depth: 1},
			{Name: "views", Lanes: 2, Calls: 2, Time: ms(600), Share: 0.3},
		},
		Operations: []Row{
			{Name: "aten::addmm", Lanes: 2, Calls: 2, Time: ms(100), Share: 100.0 / 130},
			{Name: "aten::linear", Lanes: 1, Calls: 1, Time: ms(20), Share: 20.0 / 130},
			{Name: "MLP backward", Lanes: 1, Calls: 1, Time: ms(10), Share: 10.0 / 130},
		},
		Kernels: []Row{{Name: "gemm", Lanes: 1, Calls: 1, Time: ms(40), Share: 1}},
	}, s)
	var b bytes.Buffer
	require.NoError(t, s.Print(&b))
	assert.Contains(t, b.String(), "aten::addmm (on 2 threads)")
	assert.Regexp(t, `(?m)^  SIGReg +0.1 ms +1 +10.0 %$`, b.String())
}

func TestNoTrace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trace.json")
	_, err := Summarise(path, "whole")
	require.ErrorIs(t, err, os.ErrNotExist)
	for _, text := range []string{"", "{", "[]", "{}", `{"traceEvents": 3}`, `{"traceEvents": [3]}`} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		_, err := Summarise(path, "whole")
		assert.ErrorContains(t, err, path, text)
	}
}
