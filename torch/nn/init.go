package nn

import (
	"math"
	"math/rand/v2"

	"github.com/gojepa/gojepa/torch"
)

// Zeros sets every value to 0.
func Zeros(_ *rand.Rand, _ []int64, dst []float64) { clear(dst) }

// Ones sets every value to 1.
func Ones(_ *rand.Rand, _ []int64, dst []float64) {
	for i := range dst {
		dst[i] = 1
	}
}

// Normal draws from the normal distribution of mean 0.
func Normal(std float64) torch.Init {
	return func(r *rand.Rand, _ []int64, dst []float64) {
		for i := range dst {
			dst[i] = std * r.NormFloat64()
		}
	}
}

// TruncNormal draws from the normal distribution of mean 0, cut off at ±2 whatever std is, as timm's trunc_normal_ does
// by default.
func TruncNormal(std float64) torch.Init {
	const limit = 2
	return func(r *rand.Rand, _ []int64, dst []float64) {
		for i := range dst {
			v := std * r.NormFloat64()
			for math.Abs(v) > limit {
				v = std * r.NormFloat64()
			}
			dst[i] = v
		}
	}
}

// Uniform draws evenly from [-bound, bound).
func Uniform(bound float64) torch.Init {
	return func(r *rand.Rand, _ []int64, dst []float64) {
		for i := range dst {
			dst[i] = bound * (2*r.Float64() - 1)
		}
	}
}

// XavierUniform draws evenly within √(6/(fan_in+fan_out)), which keeps the variance of values and gradients through a
// linear layer (Glorot & Bengio 2010).
func XavierUniform(r *rand.Rand, shape []int64, dst []float64) {
	in, out := fans(shape)
	Uniform(math.Sqrt(6/(in+out)))(r, shape, dst)
}

// KaimingUniform draws evenly within √(6/((1+a²)·fan_in)), for a leaky ReLU of slope a (He et al., arXiv 1502.01852).
// It takes a², which for PyTorch's linear and convolution layers is 5.
func KaimingUniform(aSquared float64) torch.Init {
	return func(r *rand.Rand, shape []int64, dst []float64) {
		in, _ := fans(shape)
		Uniform(math.Sqrt(6/((1+aSquared)*in)))(r, shape, dst)
	}
}

// KaimingNormalFanOut draws from the normal distribution of variance 2/fan_out, which keeps the variance of gradients
// through a convolution followed by ReLU (He et al., arXiv 1502.01852).
func KaimingNormalFanOut(r *rand.Rand, shape []int64, dst []float64) {
	_, out := fans(shape)
	Normal(math.Sqrt(2/out))(r, shape, dst)
}

// KaimingNormalFanOutGroups is [KaimingNormalFanOut] for a convolution in groups, of which an input reaches one.
func KaimingNormalFanOutGroups(groups int64) torch.Init {
	return func(r *rand.Rand, shape []int64, dst []float64) {
		_, out := fans(shape)
		Normal(math.Sqrt(2*float64(groups)/out))(r, shape, dst)
	}
}

// biasOf is PyTorch's initial bias of a layer with fanIn inputs per output.
func biasOf(fanIn float64) torch.Init { return Uniform(1 / math.Sqrt(fanIn)) }

// fans counts the inputs of one output value, and the outputs that one input value reaches, of a weight of shape
// [out, in, kernel...].
func fans(shape []int64) (in, out float64) {
	field := 1.0
	for _, k := range shape[2:] {
		field *= float64(k)
	}
	return float64(shape[1]) * field, float64(shape[0]) * field
}
