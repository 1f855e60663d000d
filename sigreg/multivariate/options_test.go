package multivariate_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gojepa/gojepa/sigreg/internal/testkit"
	"github.com/gojepa/gojepa/sigreg/multivariate"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

func TestBadInput(t *testing.T) {
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			expected := "expected [*, N, K] with N and K >= 1"
			least := []int64{2, 0, 4}
			if c.invariant {
				expected = "expected [*, N, K] with N > K >= 1 to standardise"
				least = []int64{2, 4, 4}
			}
			for message, x := range map[string]func(s *torch.Scope) torch.Tensor{
				"x is the zero Tensor, " + expected:                func(*torch.Scope) torch.Tensor { return torch.Tensor{} },
				"x has shape [], " + expected:                      func(s *torch.Scope) torch.Tensor { return s.Full(torch.Float32, 1) },
				"x has shape [7], " + expected:                     func(s *torch.Scope) torch.Tensor { return s.Ones(torch.Float32, 7) },
				"x has shape [7 0], " + expected:                   func(s *torch.Scope) torch.Tensor { return s.Ones(torch.Float32, 7, 0) },
				fmt.Sprintf("x has shape %v, %s", least, expected): func(s *torch.Scope) torch.Tensor { return s.Ones(torch.Float32, least...) },
				"x is int64, expected a floating-point type":       func(s *torch.Scope) torch.Tensor { return s.Arange(6).Reshape(3, 2) },
				"x is bool, expected a floating-point type":        func(s *torch.Scope) torch.Tensor { return s.Zeros(torch.Bool, 8, 2) },
			} {
				testkit.Panics(t, message, c.test, x)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		test interface {
			testkit.Tester
			Validate() error
		}
		message string // "" if the options are in range
	}{
		{multivariate.BHEP{}, ""},
		{multivariate.BHEP{Beta: 1e-3}, ""},
		{multivariate.BHEP{Beta: 1e6, Standardise: true}, ""},
		{multivariate.BHEP{Beta: -1}, "beta: -1, expected 0, or 0.001 to 1e+06"},
		{multivariate.BHEP{Beta: 1e-4}, "beta: 0.0001, expected 0, or 0.001 to 1e+06"},
		{multivariate.BHEP{Beta: math.NaN()}, "beta: NaN, expected 0, or 0.001 to 1e+06"},
		{multivariate.HenzeVisagie{}, ""},
		{multivariate.HenzeVisagie{Gamma: 5, Log: true, Standardise: true}, ""},
		{multivariate.HenzeVisagie{Gamma: math.Inf(1)}, "gamma: +Inf, expected 0, or 0.001 to 1e+06"},
		{multivariate.COMB{}, ""},
		{multivariate.COMB{Gamma: 2, Signed: true}, ""},
		{multivariate.COMB{Gamma: -0.1}, "gamma: -0.1, expected 0, or 0.001 to 1e+06"},
	} {
		if c.message == "" {
			assert.NoError(t, c.test.Validate())
			continue
		}
		assert.EqualError(t, c.test.Validate(), c.message)
		testkit.Panics(t, c.message, c.test, func(s *torch.Scope) torch.Tensor { return s.Ones(torch.Float32, 8, 2) })
	}
}

// TestPublishedValues: the published package's values follow from these, as the types' comments say.
func TestPublishedValues(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		const n, k = 12, 3
		v := testkit.Inputs(20, n, k, 0.1, 1.1)
		x, view := s.FromFloat64(v, n, k), rows(v, k)
		for _, gamma := range []float64{0.1, 1} {
			torchtest.Close(t, []float64{comb(fixed(gamma))(view)}, multivariate.COMB{Gamma: gamma, Signed: true}.Statistic(s, x).Float64s(), 1e-10, 0)
			torchtest.Close(t, []float64{henzeVisagie(fixed(gamma))(view)}, multivariate.HenzeVisagie{Gamma: gamma}.Statistic(s, x).Float64s(), 1e-10, 0)
		}
	})
}
