package torch_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

type traceEvent struct {
	Phase string  `json:"ph"`
	Cat   string  `json:"cat"`
	Name  string  `json:"name"`
	TID   any     `json:"tid"`
	TS    float64 `json:"ts"`
	Dur   float64 `json:"dur"`
}

func (e traceEvent) holds(o traceEvent) bool {
	const µs = 1 // rounding of libtorch 2.1's
	return e.TS <= o.TS+µs && o.TS+o.Dur <= e.TS+e.Dur+µs
}

// profiled is what a profile of f says, by name.
func profiled(t *testing.T, th *torch.Thread, f func(s *torch.Scope)) map[string][]traceEvent {
	t.Helper()
	path := filepath.Join(t.TempDir(), "trace.json")
	require.NoError(t, th.Do(context.Background(), func(s *torch.Scope) {
		_, err := s.StartProfile()
		require.NoError(t, err)
		_, err = s.StartProfile()
		require.ErrorContains(t, err, "has one already")
	}))
	err := th.Do(context.Background(), f)
	require.NoError(t, th.Do(context.Background(), func(s *torch.Scope) { require.NoError(t, s.StopProfile(path)) }))
	require.NoError(t, err)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var trace struct {
		TraceEvents []traceEvent `json:"traceEvents"`
	}
	require.NoError(t, json.Unmarshal(text, &trace))
	all := map[string][]traceEvent{}
	for _, e := range trace.TraceEvents {
		if e.Phase == "X" {
			all[e.Name] = append(all[e.Name], e)
		}
	}
	return all
}

func TestProfile(t *testing.T) {
	th := torchtest.Threads(t, 2)
	unseen := func(s *torch.Scope) {
		x := s.FromFloat64(torchtest.Values(1, 4), 2, 2)
		end := s.Span("not seen")
		x.Matmul(x)
		end()
	}
	require.NoError(t, th.Do(context.Background(), unseen))
	all := profiled(t, th, func(s *torch.Scope) {
		end := s.Span("outer")
		x := s.FromFloat64(torchtest.Values(1, 64*64), 64, 64).SetRequiresGrad(true)
		inner := s.Span("inner")
		y := x.Matmul(x)
		inner()
		y.Sum().Backward()
		s.Span("left open")
		end()
	})
	for _, name := range []string{torch.ProfileSpan, "outer", "inner", "left open", "aten::matmul"} {
		require.Len(t, all[name], 1, name)
	}
	assert.Empty(t, all["not seen"])
	outer, inner := all["outer"][0], all["inner"][0]
	assert.Equal(t, "user_annotation", outer.Cat)
	assert.Equal(t, "cpu_op", all["aten::matmul"][0].Cat)
	assert.True(t, all[torch.ProfileSpan][0].holds(outer))
	assert.True(t, outer.holds(inner))
	assert.True(t, inner.holds(all["aten::matmul"][0]))
	assert.True(t, outer.holds(all["left open"][0]), "the outer span ends it")
	require.Len(t, all["MmBackward0"], 1, "backward is seen")
	assert.False(t, inner.holds(all["MmBackward0"][0]))
	assert.True(t, outer.holds(all["MmBackward0"][0]))

	all = profiled(t, th, func(s *torch.Scope) {
		s.Parallel(64, func(s *torch.Scope, _, piece int) {
			z := s.FromFloat64(torchtest.Values(uint64(piece), 128*128), 128, 128)
			z.Matmul(z)
		})
	})
	threads := map[any]int{}
	for _, e := range all["aten::mm"] {
		threads[e.TID]++
	}
	assert.Len(t, threads, 2, "the threads of Parallel are seen: %v", threads)

	// A panic leaves nothing open, and a thread is as it was.
	_ = profiled(t, th, func(s *torch.Scope) {
		assert.Error(t, s.Try(func(s *torch.Scope) {
			s.Span("broken off")
			x := s.FromFloat64(torchtest.Values(1, 6), 2, 3)
			x.Matmul(x)
		}))
	})
	require.NoError(t, th.Do(context.Background(), func(s *torch.Scope) {
		unseen(s)
		assert.ErrorContains(t, s.StopProfile(filepath.Join(t.TempDir(), "t.json")), "has none")
	}))
}

func BenchmarkSpan(b *testing.B) {
	require.NoError(b, torchtest.Thread(b).Do(context.Background(), func(s *torch.Scope) {
		for range b.N {
			s.Span("span")()
		}
	}))
}
