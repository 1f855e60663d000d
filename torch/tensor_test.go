package torch_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

func ones(_ *rand.Rand, _ []int64, dst []float64) {
	for i := range dst {
		dst[i] = 1
	}
}

func normal(r *rand.Rand, _ []int64, dst []float64) {
	for i := range dst {
		dst[i] = r.NormFloat64()
	}
}

func TestDataInAndOut(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		assert.Equal(t, []float32{1, 2, 3, 4}, s.FromFloat32([]float32{1, 2, 3, 4}, 2, 2).Float32s())
		assert.Equal(t, []float64{1, 3, 2, 4}, s.FromFloat64([]float64{1, 2, 3, 4}, 2, 2).T().Float64s(), "C order")
		assert.Equal(t, []int64{-5}, s.FromInt64([]int64{-5}).Int64s(), "no dimension")
		assert.Equal(t, []float32{7, 255}, s.FromUint8([]uint8{7, 255}, 2).Float32s())
		assert.Equal(t, []float32{}, s.FromFloat32(nil, 0, 3).Float32s(), "no element")
		assert.Equal(t, []byte{0x80, 0x3f}, s.Ones(torch.BFloat16, 1).Bytes())
		assert.Equal(t, []float32{1}, s.FromBytes(torch.BFloat16, []byte{0x80, 0x3f}, 1).Float32s())
		assert.Equal(t, []int64{0, 1, 2}, s.Arange(3).Int64s())
		assert.Panics(t, func() { s.FromFloat32([]float32{1}, 2) })
		assert.Panics(t, func() { s.FromBytes(torch.Float32, []byte{1}, 1) })

		x := s.Zeros(torch.Float64, 2, 0, 5)
		assert.Equal(t, []int64{2, 0, 5}, x.Shape())
		assert.Equal(t, int64(5), x.Size(-1))
		assert.Equal(t, int64(0), x.Numel())
		assert.Equal(t, torch.Float64, x.DType())
		assert.Equal(t, torch.CPU, x.Device())
		assert.Equal(t, "float64[2 0 5]", x.String())
		assert.Equal(t, "float32[] = 2.5", s.Full(torch.Float32, 2.5).String())
		assert.Panics(t, func() { x.Item() })
		assert.Panics(t, func() { x.Size(3) })
		assert.True(t, math.IsNaN(s.Full(torch.Float32, math.NaN()).Item()))
	})
}

// TestOps pins each operation to values worked out by hand, so that arguments in the wrong order or place are noticed.
func TestOps(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		a := s.FromFloat64([]float64{1, 2, 3, 4, 5, 6}, 2, 3)
		b := s.FromFloat64([]float64{6, 5, 4, 3, 2, 1}, 2, 3)
		v := s.FromFloat64([]float64{0.5, -1, 2}, 3)
		inPlace := func(f func(x torch.Tensor)) torch.Tensor {
			x := a.Clone()
			f(x)
			return x
		}
		e := math.E
		for name, c := range map[string]struct {
			got  torch.Tensor
			want []float64
		}{
			"add":           {a.Add(v), []float64{1.5, 1, 5, 4.5, 4, 8}},
			"sub":           {a.Sub(b), []float64{-5, -3, -1, 1, 3, 5}},
			"mul":           {a.Mul(v), []float64{0.5, -2, 6, 2, -5, 12}},
			"div":           {a.Div(v), []float64{2, -2, 1.5, 8, -5, 3}},
			"maximum":       {a.Maximum(b), []float64{6, 5, 4, 4, 5, 6}},
			"add scalar":    {v.AddScalar(2), []float64{2.5, 1, 4}},
			"sub scalar":    {v.SubScalar(2), []float64{-1.5, -3, 0}},
			"mul scalar":    {v.MulScalar(2), []float64{1, -2, 4}},
			"div scalar":    {v.DivScalar(2), []float64{0.25, -0.5, 1}},
			"pow":           {v.PowScalar(3), []float64{0.125, -1, 8}},
			"neg":           {v.Neg(), []float64{-0.5, 1, -2}},
			"abs":           {v.Abs(), []float64{0.5, 1, 2}},
			"exp":           {v.Exp(), []float64{math.Sqrt(e), 1 / e, e * e}},
			"expm1":         {v.MulScalar(1e-9).Expm1(), []float64{5e-10, -1e-9, 2e-9}},
			"log":           {v.Abs().Log(), []float64{math.Log(0.5), 0, math.Log(2)}},
			"sqrt":          {v.Square().Sqrt(), []float64{0.5, 1, 2}},
			"cos":           {v.Cos(), []float64{math.Cos(0.5), math.Cos(1), math.Cos(2)}},
			"sin":           {v.Sin(), []float64{math.Sin(0.5), -math.Sin(1), math.Sin(2)}},
			"relu":          {v.Relu(), []float64{0.5, 0, 2}},
			"gelu":          {v.Gelu(), []float64{gelu(0.5), gelu(-1), gelu(2)}},
			"gelu tanh":     {v.GeluTanh(), []float64{geluTanh(0.5), geluTanh(-1), geluTanh(2)}},
			"sigmoid":       {v.Sigmoid(), []float64{sigmoid(0.5), sigmoid(-1), sigmoid(2)}},
			"silu":          {v.Silu(), []float64{0.5 * sigmoid(0.5), -sigmoid(-1), 2 * sigmoid(2)}},
			"hardsigmoid":   {a.SubScalar(3).Hardsigmoid(), []float64{1. / 6, 1. / 3, 0.5, 2. / 3, 5. / 6, 1}},
			"hardswish":     {a.SubScalar(3).Hardswish(), []float64{-1. / 3, -1. / 3, 0, 2. / 3, 5. / 3, 3}},
			"erfc":          {v.Erfc(), []float64{math.Erfc(0.5), math.Erfc(-1), math.Erfc(2)}},
			"erfcx":         {v.Erfcx(), []float64{math.Exp(.25) * math.Erfc(0.5), e * math.Erfc(-1), math.Exp(4) * math.Erfc(2)}},
			"log_ndtr":      {v.LogNdtr(), []float64{logNdtr(0.5), logNdtr(-1), logNdtr(2)}},
			"clamp":         {v.Clamp(-0.5, 1), []float64{0.5, -0.5, 1}},
			"lerp":          {a.Lerp(b, 0.25), []float64{2.25, 2.75, 3.25, 3.75, 4.25, 4.75}},
			"sign":          {v.Sign(), []float64{1, -1, 1}},
			"ge scalar":     {a.GeScalar(3).To(torch.Float64), []float64{0, 0, 1, 1, 1, 1}},
			"diagonal":      {torch.Stack([]torch.Tensor{a, b}, 0).Diagonal(), []float64{1, 5, 6, 2}},
			"eq":            {a.Eq(s.FromFloat64([]float64{1, 5, 3}, 3)).To(torch.Float64), []float64{1, 0, 1, 0, 1, 0}},
			"isfinite":      {v.DivScalar(0).Isfinite().To(torch.Float64), []float64{0, 0, 0}},
			"reshape":       {a.Reshape(3, -1).Select(0, 1), []float64{3, 4}},
			"flatten":       {a.Flatten(0, 1).Narrow(0, 2, 2), []float64{3, 4}},
			"permute":       {a.Permute(1, 0), []float64{1, 4, 2, 5, 3, 6}},
			"transpose":     {a.Transpose(0, -1), []float64{1, 4, 2, 5, 3, 6}},
			"t":             {a.T(), []float64{1, 4, 2, 5, 3, 6}},
			"roll":          {a.Roll([]int64{1, -1}, []int64{0, 1}), []float64{5, 6, 4, 2, 3, 1}},
			"pad":           {a.Pad(0, 1, 1, 0).Pad(-1, 0), []float64{0, 0, 0, 2, 3, 0, 5, 6, 0}},
			"unsqueeze":     {v.Unsqueeze(0).Expand(2, -1), []float64{0.5, -1, 2, 0.5, -1, 2}},
			"narrow":        {a.Narrow(1, 1, 2), []float64{2, 3, 5, 6}},
			"select":        {a.Select(1, 2), []float64{3, 6}},
			"unbind":        {a.Unbind(-1)[1], []float64{2, 5}},
			"index select":  {a.IndexSelect(1, s.FromInt64([]int64{2, 0}, 2)), []float64{3, 1, 6, 4}},
			"gather":        {a.Gather(1, s.FromInt64([]int64{2, 0}, 2, 1)), []float64{3, 4}},
			"cat":           {torch.Cat([]torch.Tensor{a, b}, 1).Select(0, 0), []float64{1, 2, 3, 6, 5, 4}},
			"stack":         {torch.Stack([]torch.Tensor{a, b}, 0).Select(1, 1), []float64{4, 5, 6, 3, 2, 1}},
			"sum":           {a.Sum(), []float64{21}},
			"sum dim":       {a.SumDim(0, false), []float64{5, 7, 9}},
			"mean":          {a.Mean(), []float64{3.5}},
			"mean dim":      {a.MeanDim(1, true), []float64{2, 5}},
			"var":           {a.VarDim(1, true, false), []float64{1, 1}},
			"biased var":    {a.VarDim(1, false, false), []float64{2. / 3, 2. / 3}},
			"max":           {a.Max(), []float64{6}},
			"argmax":        {b.Argmax(1).To(torch.Float64), []float64{0, 0}},
			"norm":          {s.FromFloat64([]float64{3, 4}, 2).Norm(), []float64{5}},
			"norm dims":     {s.FromFloat64([]float64{2, 3, 6, 0, 0, 5}, 2, 3, 1).NormDims(false, 1, 2), []float64{7, 5}},
			"matmul":        {a.Matmul(b.T()), []float64{28, 10, 73, 28}},
			"linear":        {a.Linear(b, s.FromFloat64([]float64{100, 0}, 2)), []float64{128, 10, 173, 28}},
			"softmax":       {v.Sub(v).Softmax(0), []float64{1. / 3, 1. / 3, 1. / 3}},
			"log softmax":   {v.Sub(v).LogSoftmax(-1), []float64{-math.Log(3), -math.Log(3), -math.Log(3)}},
			"cross entropy": {a.Sub(a).CrossEntropy(s.FromInt64([]int64{0, 2}, 2)), []float64{math.Log(3)}},
			"add_":          {inPlace(func(x torch.Tensor) { x.Add_(v) }), []float64{1.5, 1, 5, 4.5, 4, 8}},
			"add scaled_":   {inPlace(func(x torch.Tensor) { x.AddScaled_(v, -2) }), []float64{0, 4, -1, 3, 7, 2}},
			"sub_":          {inPlace(func(x torch.Tensor) { x.Sub_(b) }), []float64{-5, -3, -1, 1, 3, 5}},
			"mul_":          {inPlace(func(x torch.Tensor) { x.Mul_(v) }), []float64{0.5, -2, 6, 2, -5, 12}},
			"div_":          {inPlace(func(x torch.Tensor) { x.Div_(v) }), []float64{2, -2, 1.5, 8, -5, 3}},
			"add scalar_":   {inPlace(func(x torch.Tensor) { x.AddScalar_(1) }), []float64{2, 3, 4, 5, 6, 7}},
			"add int_":      {inPlace(func(x torch.Tensor) { i := x.To(torch.Int64); i.AddInt_(2); x.Copy_(i) }), []float64{3, 4, 5, 6, 7, 8}},
			"sub scalar_":   {inPlace(func(x torch.Tensor) { x.SubScalar_(1) }), []float64{0, 1, 2, 3, 4, 5}},
			"mul scalar_":   {inPlace(func(x torch.Tensor) { x.MulScalar_(2) }), []float64{2, 4, 6, 8, 10, 12}},
			"div scalar_":   {inPlace(func(x torch.Tensor) { x.DivScalar_(2) }), []float64{.5, 1, 1.5, 2, 2.5, 3}},
			"fill_":         {inPlace(func(x torch.Tensor) { x.Select(0, 0).Fill_(9) }), []float64{9, 9, 9, 4, 5, 6}},
			"zero_":         {inPlace(func(x torch.Tensor) { x.Select(1, 0).Zero_() }), []float64{0, 2, 3, 0, 5, 6}},
			"lerp_":         {inPlace(func(x torch.Tensor) { x.Lerp_(b, 0.5) }), []float64{3.5, 3.5, 3.5, 3.5, 3.5, 3.5}},
			"addcmul_":      {inPlace(func(x torch.Tensor) { x.Addcmul_(a, b, 2) }), []float64{13, 22, 27, 28, 25, 18}},
			"addcdiv_":      {inPlace(func(x torch.Tensor) { x.Addcdiv_(a, a, -1) }), []float64{0, 1, 2, 3, 4, 5}},
			"copy_":         {inPlace(func(x torch.Tensor) { x.Copy_(v.To(torch.Float32)) }), []float64{.5, -1, 2, .5, -1, 2}},
			"neg_":          {inPlace(func(x torch.Tensor) { x.Neg_() }), []float64{-1, -2, -3, -4, -5, -6}},
			"square_":       {inPlace(func(x torch.Tensor) { x.Square_() }), []float64{1, 4, 9, 16, 25, 36}},
			"sin_ cos_": {inPlace(func(x torch.Tensor) { x.Copy_(v); x.Sin_(); x.Cos_() }).Select(0, 0),
				[]float64{math.Cos(math.Sin(.5)), math.Cos(math.Sin(1)), math.Cos(math.Sin(2))}},
			"matmul to": {inPlace(func(x torch.Tensor) { x.MatmulTo(a, s.Full(torch.Float64, 1, 3, 3)) }),
				[]float64{6, 6, 6, 15, 15, 15}},
		} {
			torchtest.Close(t, c.want, c.got.Float64s(), 1e-12, 1e-12, name)
		}
		values, index := a.Topk(2, 1)
		assert.Equal(t, []float64{3, 2, 6, 5}, values.Float64s())
		assert.Equal(t, []int64{2, 1, 2, 1}, index.Int64s())
		values, index = s.FromFloat64([]float64{2, 3, 1, 3, math.NaN(), 1}, 6).Sort(0)
		assert.Equal(t, []float64{1, 1, 2, 3, 3}, values.Narrow(0, 0, 5).Float64s())
		assert.Equal(t, []int64{2, 5, 0, 1, 3, 4}, index.Int64s(), "ties keep their order, and NaN comes last")
		assert.True(t, a.AllFinite())
		assert.False(t, a.DivScalar(0).AllFinite())
		assert.True(t, s.Full(torch.Float32, 3e38, 4).AllFinite(), "finite values whose sum is not")
		assert.Equal(t, torch.Float32, a.To(torch.Float32).DType())
		assert.False(t, a.T().IsContiguous())
		assert.True(t, a.T().Contiguous().IsContiguous())
	})
}

func TestDecompositions(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		a := s.FromFloat64(torchtest.Values(1, 2*5*3), 2, 5, 3)
		q, r := a.QR()
		torchtest.Close(t, a.Float64s(), q.Matmul(r).Float64s(), 1e-14, 0)
		unit := []float64{1, 0, 0, 0, 1, 0, 0, 0, 1}
		torchtest.Close(t, append(unit, unit...), q.Transpose(-1, -2).Matmul(q).Float64s(), 1e-14, 0)
		assert.Zero(t, r.Select(0, 1).Select(0, 2).Narrow(0, 0, 2).Abs().Max().Item(), "upper triangular")

		values, vectors := s.FromFloat64([]float64{2, 99, 1, 2}, 2, 2).Eigh()
		torchtest.Close(t, []float64{1, 3}, values.Float64s(), 1e-14, 0)
		torchtest.Close(t, []float64{.5, .5, .5, .5}, vectors.Square().Float64s(), 1e-14, 0)
		assert.Less(t, vectors.Select(1, 0).Float64s()[0]*vectors.Select(1, 0).Float64s()[1], 0.0)
	})
}

func logNdtr(x float64) float64 { return math.Log(math.Erfc(-x/math.Sqrt2) / 2) }

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func geluTanh(x float64) float64 { return x * sigmoid(2*math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)) }

func gelu(x float64) float64 { return x * 0.5 * (1 + math.Erf(x/math.Sqrt2)) }

// TestNetworkOps checks the building blocks on small inputs worked out by hand.
func TestNetworkOps(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		img := s.FromFloat64([]float64{1, 2, 3, 4, 5, 6, 7, 8, 9}, 1, 1, 3, 3)
		k := s.FromFloat64([]float64{1, 0, 0, 1}, 1, 1, 2, 2)
		bias := s.FromFloat64([]float64{10}, 1)
		one, zero := s.Ones(torch.Float64, 1), s.Zeros(torch.Float64, 1)
		check := func(name string, want []float64, got torch.Tensor) {
			torchtest.Close(t, want, got.Float64s(), 1e-9, 1e-9, name)
		}
		check("conv2d", []float64{16, 18, 22, 24}, img.Conv2d(k, bias, 1, 0, 1))
		check("conv2d stride 2 padding 1", []float64{1, 3, 7, 14}, img.Conv2d(k, torch.Tensor{}, 2, 1, 1))
		wide := s.FromFloat64([]float64{1, 2, 3, 4, 5, 6, 7, 8}, 1, 2, 2, 2)
		last := wide.ChannelsLast()
		assert.False(t, last.IsContiguous())
		assert.Equal(t, wide.Float64s(), last.Float64s())
		assert.Equal(t, []float64{1, 5, 2, 6, 3, 7, 4, 8}, last.Permute(0, 2, 3, 1).Reshape(-1).Float64s())
		check("max_pool2d", []float64{5, 6, 8, 9}, img.MaxPool2d(2, 1, 0))
		check("avg_pool2d", []float64{3, 4, 6, 7}, img.AvgPool2d(2, 1, 0, false, true))
		check("avg_pool2d ceil", []float64{3, 4.5, 7.5, 9}, img.AvgPool2d(2, 2, 0, true, false))
		r := math.Sqrt(1.5)
		check("layer_norm", []float64{-r, 0, r, -r, 0, r, -r, 0, r},
			img.LayerNorm(s.Ones(torch.Float64, 3), s.Zeros(torch.Float64, 3), 0))
		mean, variance := s.Zeros(torch.Float64, 1), s.Ones(torch.Float64, 1)
		normed := img.BatchNorm(one, zero, mean, variance, true, 0.1, 0)
		check("batch_norm", []float64{0}, normed.Mean())
		check("running mean", []float64{0.5}, mean)
		check("running variance, unbiased", []float64{0.9 + 0.1*7.5}, variance)
		check("batch_norm eval", []float64{(1 - 0.5) / math.Sqrt(1.65)},
			img.BatchNorm(one, zero, mean, variance, false, 0.1, 0).Narrow(3, 0, 1).Narrow(2, 0, 1))
		q := s.FromFloat64([]float64{0, 0}, 1, 1, 2, 1)
		v := s.FromFloat64([]float64{1, 3}, 1, 1, 2, 1)
		check("attention", []float64{2, 2}, q.ScaledDotProductAttention(q, v))
		check("bicubic, antialiased", []float64{16.694063581519377, 27.747625154364968, 42.09423757021011,
			121.75025058153831, 151.945972261803, 185.43474478506724}, // PyTorch's interpolate of (1 … 16)²
			s.Arange(16).To(torch.Float64).AddScalar(1).Square().Reshape(1, 1, 4, 4).InterpolateBicubicAntialias(2, 3))
	})
}

func TestFlatParams(t *testing.T) {
	th := torchtest.Thread(t)
	p := torch.NewParams(3, torch.Float64)
	defer p.Close()
	var w, b, c, m torch.Tensor
	require.NoError(t, th.Do(ctx, func(s *torch.Scope) {
		fc := p.Root().Sub("fc").At(1)
		w = fc.Param(s, "weight", normal, 2, 3)
		b = fc.Param(s, "bias", normal, 2)
		m = fc.Buffer(s, "running_mean", torch.Float32, ones, 2)
		c = p.Root().NoDecay(s, "cls_token", normal, 1, 1, 3)
		assert.Panics(t, func() { fc.Param(s, "bias", ones, 1) }, "a name twice")
	}))
	assert.Equal(t, int64(11), p.Count())
	var names []string
	for _, q := range p.All() {
		names = append(names, q.Name)
	}
	assert.Equal(t, []string{"fc.1.weight", "fc.1.bias", "fc.1.running_mean", "cls_token"}, names)

	require.NoError(t, th.Do(ctx, func(s *torch.Scope) {
		before := append(append(w.Float64s(), b.Float64s()...), c.Float64s()...)
		groups := p.Flatten(s)
		require.Len(t, groups, 2)
		assert.True(t, groups[0].Decay)
		assert.Equal(t, int64(6), groups[0].Value.Numel())
		assert.Equal(t, int64(5), groups[1].Value.Numel())
		assert.Equal(t, before, append(groups[0].Value.Float64s(), groups[1].Value.Float64s()...), "values are unchanged")

		// Handles made before now see the flat memory, and the backward fills the flat gradients.
		s.NoGrad(func() { groups[0].Value.Fill_(2) })
		assert.Equal(t, []float64{2, 2, 2, 2, 2, 2}, w.Float64s())
		for range 2 {
			w.Sum().Add(b.Square().Sum()).Backward()
		}
		assert.Equal(t, []float64{2, 2, 2, 2, 2, 2}, groups[0].Grad.Float64s(), "gradients add up")
		p.ZeroGrad(s)
		assert.Equal(t, []float64{0, 0, 0, 0, 0, 0}, w.Grad().Float64s())
		c.Sum().Backward()
		assert.Equal(t, []float64{0, 0, 1, 1, 1}, groups[1].Grad.Float64s(), "still the same memory")
		assert.False(t, m.RequiresGrad())
		assert.Panics(t, func() { p.Root().Param(s, "late", ones, 1) })
	}))
}

func TestReplaceAndShapes(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		p := torch.NewParams(1, torch.Float64)
		defer p.Close()
		w := p.Root().Param(s, "w", ones, 2, 3)
		p.Replace(s, "w", s.FromFloat64([]float64{5, 6}, 2, 1))
		assert.Equal(t, []float64{5, 6}, w.Float64s(), "the handle sees it")
		assert.Equal(t, []int64{2, 1}, p.Get("w").Value.Shape())
		w.Sum().Backward()
		assert.Equal(t, []float64{1, 1}, w.Grad().Float64s())
		assert.Panics(t, func() { p.Replace(s, "v", w) })

		big := torch.NewShapes(torch.Float32)
		defer big.Close()
		const side = 1 << 20
		big.Root().Param(s, "weight", ones, side, side)
		big.Root().Buffer(s, "mean", torch.Float64, ones, side)
		assert.Equal(t, int64(side*side), big.Count(), "4 TB, if they were allocated")
		assert.Equal(t, []int64{side}, big.Get("mean").Value.Shape())
		assert.True(t, big.Get("weight").Decay)
	})
}

func TestInitialValuesDependOnSeedAndPlaceOnly(t *testing.T) {
	th := torchtest.Thread(t)
	values := func(seed uint64, d torch.DType) (v []float64) {
		p := torch.NewParams(seed, d)
		defer p.Close()
		require.NoError(t, th.Do(ctx, func(s *torch.Scope) {
			p.Root().Param(s, "a", normal, 3)
			v = p.Root().Param(s, "b", normal, 3).Float64s()
		}))
		return v
	}
	assert.Equal(t, values(1, torch.Float64), values(1, torch.Float64))
	assert.NotEqual(t, values(1, torch.Float64), values(2, torch.Float64))
	torchtest.Close(t, values(1, torch.Float64), values(1, torch.Float32), 1e-7, 0)
}
