// Package testkit is what the tests of packages sigreg, univariate and multivariate have in common.
package testkit

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

// Tester is a test against the Gaussian.
type Tester interface {
	Statistic(s *torch.Scope, x torch.Tensor) torch.Tensor
}

// Inputs are n samples of k numbers that are not quite Gaussian, to about ±3 before loc and scale, and distinct. The golden
// files' generators make the same.
func Inputs(seed uint64, n, k int64, loc, scale float64) []float64 {
	v := torchtest.Values(seed, int(n*k))
	for i, u := range v {
		v[i] = loc + scale*(0.6*u+0.25*u*u*u/math.Sqrt(3))
	}
	return v
}

// Gradient returns the statistics of x, and the gradient by x of their sum weighted by 1, 2, 3 …, so that a gradient that
// lands in the place of another is noticed.
func Gradient(s *torch.Scope, c Tester, x torch.Tensor) (statistics, grad torch.Tensor) {
	x = x.Detach().SetRequiresGrad(true)
	statistics = weighted(s, c, x)
	return statistics, x.Grad()
}

func weighted(s *torch.Scope, c Tester, x torch.Tensor) torch.Tensor {
	statistics := c.Statistic(s, x)
	weights := s.Arange(statistics.Numel()).To(statistics.DType()).AddScalar(1)
	statistics.Reshape(-1).Mul(weights).Sum().Backward()
	return statistics
}

// FiniteDifferences holds the gradient by samples of a shape, float64, to central differences.
func FiniteDifferences(t *testing.T, s *torch.Scope, c Tester, at []float64, tol float64, shape ...int64) {
	const h = 1e-6
	sum := func(at []float64) float64 {
		var sum float64
		for i, v := range c.Statistic(s, s.FromFloat64(at, shape...)).Float64s() {
			sum += float64(i+1) * v
		}
		return sum
	}
	var want []float64
	for i, x := range at {
		at[i] = x + h
		up := sum(at)
		at[i] = x - h
		want = append(want, (up-sum(at))/(2*h))
		at[i] = x
	}
	_, grad := Gradient(s, c, s.FromFloat64(at, shape...))
	torchtest.Close(t, want, grad.Float64s(), tol, 1e-9)
	assert.Greater(t, grad.Norm().Item(), 1e-3, "a gradient to compare")
}

// OrderOfSamples asserts that the order of 10 samples does not matter.
func OrderOfSamples(t *testing.T, s *torch.Scope, c Tester) {
	x := s.FromFloat64(Inputs(7, 10, 4, 0, 1), 10, 4)
	order := s.FromInt64([]int64{3, 1, 4, 0, 5, 8, 2, 6, 7, 9}, 10)
	want, grad := Gradient(s, c, x)
	got, moved := Gradient(s, c, x.IndexSelect(0, order))
	torchtest.Close(t, want.Float64s(), got.Float64s(), 1e-12, 1e-12)
	torchtest.Close(t, grad.IndexSelect(0, order).Float64s(), moved.Float64s(), 1e-11, 1e-12)
}

// Strides asserts that samples x, as they lie in memory, have the statistics and the gradient of their copy in C order.
func Strides(t *testing.T, s *torch.Scope, c Tester, x torch.Tensor, what string) {
	want, wantGrad := Gradient(s, c, x.Contiguous())
	leaf := x.Detach().SetRequiresGrad(true)
	got := weighted(s, c, leaf)
	torchtest.Close(t, want.Float64s(), got.Float64s(), 1e-12, 1e-12, what)
	torchtest.Close(t, wantGrad.Float64s(), leaf.Grad().Float64s(), 1e-11, 1e-12, what)
}

// SixteenBit asserts that samples 16 bits wide have the values of float32 and its gradient, rounded to their type.
func SixteenBit(t *testing.T, s *torch.Scope, c Tester) {
	for _, dtype := range []torch.DType{torch.BFloat16, torch.Float16} {
		x := s.FromFloat64(Inputs(12, 50, 3, 0, 1), 50, 3).To(dtype)
		want, wantGrad := Gradient(s, c, x.To(torch.Float32))
		got, grad := Gradient(s, c, x)
		assert.Equal(t, torch.Float32, got.DType())
		assert.Equal(t, want.Float64s(), got.Float64s())
		assert.Equal(t, dtype, grad.DType())
		assert.Equal(t, wantGrad.To(dtype).Float64s(), grad.Float64s())
	}
}

// Panics asserts that the test panics with the message for the x that f makes, behind its package's and its own name.
func Panics(t *testing.T, message string, c Tester, f func(s *torch.Scope) torch.Tensor) {
	t.Helper()
	th := torchtest.Thread(t)
	defer func() {
		t.Helper()
		p, ok := recover().(*torch.Panic)
		if assert.True(t, ok, "no panic, expected %q", message) {
			assert.Equal(t, Prefix(c)+message, p.Value)
		}
	}()
	_ = th.Do(t.Context(), func(s *torch.Scope) { c.Statistic(s, f(s)) })
}

// Prefix is what the messages of a test begin with, such as "univariate: Watson: ".
func Prefix(c Tester) string {
	pkg, name, _ := strings.Cut(fmt.Sprintf("%T", c), ".")
	return pkg + ": " + name + ": "
}

// Critical is the value that a share alpha of the statistics exceeds.
func Critical(v []float64, alpha float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[int(float64(len(v))*(1-alpha))]
}

// Exceeding is the share of the statistics above a limit.
func Exceeding(v []float64, limit float64) float64 {
	n := 0
	for _, v := range v {
		if v > limit {
			n++
		}
	}
	return float64(n) / float64(len(v))
}
