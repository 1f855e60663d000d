package vision

import (
	"fmt"
	"math"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
)

// swin is a transformer whose tokens attend within windows, which every other block shifts by half their side (Liu et al.,
// arXiv 2103.14030). Each stage but the first joins 2×2 tokens, so that maps halve as in a convolutional network.
//
// A window is no larger than the map of its stage at the model's own image size, where it then is not shifted. Images of
// other sizes meet the same windows, and maps are padded to whole ones: timm's dynamic_img_size.
//
// Version 2 (Liu et al., arXiv 2111.09883) normalises what residual branches return instead of what goes into them, and its
// attention is of another kind: see swin_v2.go.
type swin struct {
	layers  [4]int   // blocks per stage
	width   int64    // of the first stage's tokens, doubled from stage to stage
	heads   int64    // of the first stage's attention, doubled as well
	windows [4]int64 // side of each stage's windows, in tokens
	v2      bool
	trained [4]int64 // version 2: side of the windows that relative positions are measured by; 0: of a stage's own
}

const (
	swinPatch   = 4
	swinRatio   = 4    // of the MLP's hidden width
	swinNormEps = 1e-5 // of the normalisations
	swinApart   = -100 // added to the logits of tokens that are neighbours by the shift alone
)

func (w swin) own() (Spec, settable) {
	return Spec{PatchSize: swinPatch, Width: int(w.width)}, settable{patches: true, width: true, depth: true}
}

func (w swin) inputConv() string { return "patch_embed.proj.weight" }

func (w swin) infer(shape func(key string) []int64) Spec {
	if c := shape(w.inputConv()); len(c) == 4 {
		return Spec{PatchSize: int(c[2])}
	}
	return Spec{}
}

// check reports a width that the heads, whose number is the variant's, do not divide.
func (w swin) check(s Spec) error {
	if heads := int(w.heads); s.Width%heads != 0 {
		return fmt.Errorf("width %d, which the %d heads of its first stage do not divide: try %d",
			s.Width, heads, nearestMultiple(s.Width, heads))
	}
	return nil
}

func (w swin) build(s *torch.Scope, p torch.Path, spec Spec) network {
	w.width, w.layers = int64(spec.Width), depths(w.layers, spec.Depth)
	patch := int64(spec.PatchSize)
	embed := p.Sub("patch_embed")
	level := []layer{
		newConv(s, embed.Sub("proj"), nn.Conv{In: int64(spec.Channels), Out: w.width, Kernel: patch, Stride: patch}, nn.Options{}),
		channelNorm{nn.NewLayerNorm(s, embed.Sub("norm"), w.width, swinNormEps)},
	}
	n := &cnn{}
	side := int64(spec.ImageSize) / patch
	i, blocks := 0, sum(w.layers)
	for stage, count := range w.layers {
		p := p.Sub("layers").At(stage)
		if stage > 0 {
			level = append(level, w.merge(s, p.Sub("downsample"), n.width))
			side = (side + 1) / 2
		}
		n.width = w.width << stage
		window := newSwinWindow(min(side, w.windows[stage]))
		for at := range count {
			b := w.block(s, p.Sub("blocks").At(at), n.width, stage, window)
			if at%2 == 1 && side > window.side {
				b.shift = window.side / 2
			}
			rate := nn.DropPathRate(spec.DropPath, i, blocks)
			b.dropPath1 = nn.DropPath{Rate: rate, Layer: uint32(2 * i)}
			b.dropPath2 = nn.DropPath{Rate: rate, Layer: uint32(2*i + 1)}
			level = append(level, b)
			i++
		}
		n.levels, level = append(n.levels, level), nil
	}
	n.neck = []layer{channelNorm{nn.NewLayerNorm(s, p.Sub("norm"), n.width, swinNormEps)}}
	n.classify(s, p.Sub("head").Sub("fc"), spec.NumClasses, vitLinear)
	return n
}

// merge makes the layer before a stage, of twice the width of what goes in.
func (w swin) merge(s *torch.Scope, p torch.Path, in int64) layer {
	m := &swinMerge{normLast: w.v2}
	if !m.normLast {
		m.norm = nn.NewLayerNorm(s, p.Sub("norm"), 4*in, swinNormEps)
	}
	m.linear = nn.NewLinear(s, p.Sub("reduction"), 4*in, 2*in, nn.Options{NoBias: true, Weight: vitLinear.Weight})
	if m.normLast {
		m.norm = nn.NewLayerNorm(s, p.Sub("norm"), 2*in, swinNormEps)
	}
	return m
}

// swinMerge joins 2×2 tokens into one.
type swinMerge struct {
	norm     *nn.LayerNorm
	linear   *nn.Linear
	normLast bool
}

// forward maps x [N, C, H, W] to [N, 2C, ⌈H/2⌉, ⌈W/2⌉].
func (m *swinMerge) forward(s *torch.Scope, x torch.Tensor, _ nn.Pass) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		x := padded(x.Permute(0, 2, 3, 1), 2)
		h, w, c := x.Size(1)/2, x.Size(2)/2, x.Size(3)
		x = x.Reshape(-1, h, 2, w, 2, c).Permute(0, 1, 3, 4, 2, 5).Flatten(3, 5)
		if m.normLast {
			x = m.norm.Forward(s, m.linear.Forward(s, x))
		} else {
			x = m.linear.Forward(s, m.norm.Forward(s, x))
		}
		return x.Permute(0, 3, 1, 2)
	})
}

// padded appends rows and columns of zeros to x [N, H, W, C], such that step divides their number.
func padded(x torch.Tensor, step int64) torch.Tensor {
	h, w := x.Size(1), x.Size(2)
	if h%step == 0 && w%step == 0 {
		return x
	}
	return x.Pad(0, 0, 0, (step-w%step)%step, 0, (step-h%step)%step)
}

// swinBlock is attention within windows and an MLP, each a residual branch behind its normalisation, or before it.
type swinBlock struct {
	norm1, norm2         *nn.LayerNorm
	normLast             bool
	window               swinWindow
	attn                 windowAttention
	mlp                  vitMLP
	shift                int64 // of the windows, in tokens
	dropPath1, dropPath2 nn.DropPath
}

// windowAttention mixes the tokens of each window of x [N·k, T, C], whose logits have mask [k, T, T] added unless it is the
// zero Tensor.
type windowAttention interface {
	forward(s *torch.Scope, x, mask torch.Tensor) torch.Tensor
}

func (w swin) block(s *torch.Scope, p torch.Path, width int64, stage int, window swinWindow) *swinBlock {
	b := &swinBlock{normLast: w.v2, window: window, mlp: vitMLP{act: torch.Tensor.Gelu}}
	mlp := func() {
		p := p.Sub("mlp")
		b.mlp.fc1 = nn.NewLinear(s, p.Sub("fc1"), width, swinRatio*width, vitLinear)
		b.mlp.fc2 = nn.NewLinear(s, p.Sub("fc2"), swinRatio*width, width, vitLinear)
	}
	if w.v2 {
		b.attn = w.cosineAttention(s, p.Sub("attn"), width, stage, window)
		b.norm1 = nn.NewZeroLayerNorm(s, p.Sub("norm1"), width, swinNormEps)
		mlp()
		b.norm2 = nn.NewZeroLayerNorm(s, p.Sub("norm2"), width, swinNormEps)
		return b
	}
	b.norm1 = nn.NewLayerNorm(s, p.Sub("norm1"), width, swinNormEps)
	b.attn = w.attention(s, p.Sub("attn"), width, stage, window)
	b.norm2 = nn.NewLayerNorm(s, p.Sub("norm2"), width, swinNormEps)
	mlp()
	return b
}

// forward maps x [N, C, H, W] to the same shape.
func (b *swinBlock) forward(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		x := x.Permute(0, 2, 3, 1)
		if b.normLast {
			x = x.Add(b.dropPath1.Forward(s, b.norm1.Forward(s, b.mix(s, x)), p))
			x = x.Add(b.dropPath2.Forward(s, b.norm2.Forward(s, b.mlp.forward(s, x)), p))
		} else {
			x = x.Add(b.dropPath1.Forward(s, b.mix(s, b.norm1.Forward(s, x)), p))
			x = x.Add(b.dropPath2.Forward(s, b.mlp.forward(s, b.norm2.Forward(s, x)), p))
		}
		return x.Permute(0, 3, 1, 2)
	})
}

// mix cuts x [N, H, W, C] into windows, lets the tokens of each attend to one another, and puts them together again.
func (b *swinBlock) mix(s *torch.Scope, x torch.Tensor) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		h, w, c := x.Size(1), x.Size(2), x.Size(3)
		y := x
		if b.shift > 0 {
			y = y.Roll([]int64{-b.shift, -b.shift}, []int64{1, 2})
		}
		// timm pads what is shifted, so that padding lies between the image's end and its beginning.
		side := b.window.side
		y = padded(y, side)
		rows, cols := y.Size(1)/side, y.Size(2)/side
		y = y.Reshape(-1, rows, side, cols, side, c).Permute(0, 1, 3, 2, 4, 5).Reshape(-1, side*side, c)
		y = b.attn.forward(s, y, b.window.mask(s, rows, cols, b.shift))
		y = y.Reshape(-1, rows, cols, side, side, c).Permute(0, 1, 3, 2, 4, 5).Reshape(-1, rows*side, cols*side, c)
		if rows*side > h || cols*side > w {
			y = y.Narrow(1, 0, h).Narrow(2, 0, w)
		}
		if b.shift > 0 {
			y = y.Roll([]int64{b.shift, b.shift}, []int64{1, 2})
		}
		return y
	})
}

// swinAttention is attention whose logits have a learned bias for each head and relative position.
type swinAttention struct {
	table  torch.Tensor // [(2·side-1)², heads]
	qkv    *nn.Linear   // to queries, keys and values
	proj   *nn.Linear
	heads  int64
	window swinWindow
}

// swinTable is the last part of the key of relative positions' biases.
const swinTable = "relative_position_bias_table"

func (w swin) attention(s *torch.Scope, p torch.Path, width int64, stage int, window swinWindow) *swinAttention {
	heads := w.heads << stage
	return &swinAttention{
		table:  p.NoDecay(s, swinTable, nn.TruncNormal(0.02), window.relative()*window.relative(), heads),
		qkv:    nn.NewLinear(s, p.Sub("qkv"), width, 3*width, vitLinear),
		proj:   nn.NewLinear(s, p.Sub("proj"), width, width, vitLinear),
		heads:  heads,
		window: window,
	}
}

func (a *swinAttention) forward(s *torch.Scope, x, mask torch.Tensor) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		c := x.Size(2)
		parts := a.qkv.Forward(s, x).Unflatten(2, 3, a.heads, c/a.heads).Permute(2, 0, 3, 1, 4).Unbind(0)
		q, k, v := parts[0], parts[1], parts[2]
		logits := q.MulScalar(1 / math.Sqrt(float64(c/a.heads))).Matmul(k.Transpose(2, 3))
		weights := biased(logits, a.window.pairs(s, s.Use(a.table)), mask).Softmax(-1)
		return a.proj.Forward(s, weights.Matmul(v).Transpose(1, 2).Flatten(2, 3))
	})
}

// biased adds bias [heads, T, T] to the logits [N·k, heads, T, T] of N·k windows, and mask [k, T, T] if there is one.
func biased(logits, bias, mask torch.Tensor) torch.Tensor {
	bias = bias.To(logits.DType())
	if !mask.Defined() {
		return logits.Add(bias)
	}
	bias = bias.Unsqueeze(0).Add(mask.To(bias.DType()).Unsqueeze(1))
	return logits.Unflatten(0, -1, mask.Size(0)).Add(bias).Flatten(0, 1)
}

// swinWindow is a square of tokens.
type swinWindow struct {
	side  int64
	index []int64 // [T·T], for each pair of its T tokens the place of their difference among all relative positions
}

func newSwinWindow(side int64) swinWindow {
	w := swinWindow{side: side}
	for i := range side * side {
		for j := range side * side {
			dy, dx := i/side-j/side, i%side-j%side
			w.index = append(w.index, (dy+side-1)*w.relative()+dx+side-1)
		}
	}
	return w
}

// relative is how many differences there are between two tokens' rows, or columns.
func (w swinWindow) relative() int64 { return 2*w.side - 1 }

// pairs spreads values of relative positions, a table of [relative², heads], to [heads, T, T].
func (w swinWindow) pairs(s *torch.Scope, table torch.Tensor) torch.Tensor {
	t := w.side * w.side
	return table.IndexSelect(0, s.FromInt64(w.index, t*t)).Reshape(t, t, -1).Permute(2, 0, 1).Contiguous()
}

// mask is [rows·cols, T, T], for shifted windows: far below zero for tokens that do not lie side by side in the image, as
// the shift moved its first rows behind the last ones. It is the zero Tensor for windows that are not shifted.
func (w swinWindow) mask(s *torch.Scope, rows, cols, shift int64) torch.Tensor {
	if shift == 0 {
		return torch.Tensor{}
	}
	// What the shift cuts apart: all but the last windows, and the two parts of those.
	part := func(at, windows int64) float32 {
		switch n := windows * w.side; {
		case at < n-w.side:
			return 0
		case at < n-shift:
			return 1
		default:
			return 2
		}
	}
	parts := make([]float32, 0, rows*cols*w.side*w.side)
	for row := range rows {
		for col := range cols {
			for y := range w.side {
				for x := range w.side {
					parts = append(parts, 3*part(row*w.side+y, rows)+part(col*w.side+x, cols))
				}
			}
		}
	}
	of := s.FromFloat32(parts, rows*cols, w.side*w.side)
	return of.Unsqueeze(1).Sub(of.Unsqueeze(2)).Sign().Abs().MulScalar(swinApart)
}
