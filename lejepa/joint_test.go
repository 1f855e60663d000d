package lejepa

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/sigreg"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/torch/torchtest"
	"github.com/gojepa/gojepa/torch/weights"
)

// TestJointAgainstPyTorch has the cases of scripts/golden/joint.py.
func TestJointAgainstPyTorch(t *testing.T) {
	var cases []struct {
		N, K, M int64
		Lambda  float64
		Kinds   []struct {
			Views   int64
			Globals int
			Samples []int
		}
		Total, Prediction, SIGReg float64
		Grads                     [][]float64
	}
	raw, err := os.ReadFile("testdata/joint.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &cases))
	require.NotEmpty(t, cases)
	for _, dtype := range []torch.DType{torch.Float64, torch.Float32} {
		tol, floor := 1e-9, 1e-12
		if dtype == torch.Float32 {
			tol, floor = 1e-5, 1e-7
		}
		for i, c := range cases {
			t.Run(fmt.Sprint(dtype, i), func(t *testing.T) {
				torchtest.Do(t, func(s *torch.Scope) {
					a := s.FromFloat64(torchtest.Values(uint64(900+i), int(c.K*c.M)), c.K, c.M)
					a = a.Div(a.Square().SumDim(0, true).Sqrt()).To(dtype)
					var views []Views
					for j, k := range c.Kinds {
						rows := c.N
						if k.Samples != nil {
							rows = int64(len(k.Samples))
						}
						z := s.FromFloat64(torchtest.Values(uint64(300+10*i+j), int(k.Views*rows*c.K)), k.Views, rows, c.K)
						views = append(views, Views{z.To(dtype).Detach().SetRequiresGrad(true), k.Globals, k.Samples})
					}
					l := Objective{Lambda: c.Lambda, Test: sigreg.Default()}.ComputeJointOn(s, views, c.N, a)
					l.Total.Backward()
					got, _ := l.Metrics(s)
					var prediction, statistic, sum, count float64 // the whole out of its kinds
					for j, v := range views {
						if l.Kinds == nil {
							break
						}
						k := l.Kinds[j]
						assert.False(t, k.Prediction.RequiresGrad() || k.SIGReg.RequiresGrad())
						weight := float64(v.Z.Numel())
						prediction += weight * k.Prediction.Item()
						sum += weight
						if v.Z.Size(1) > 1 {
							statistic += float64(v.Z.Size(0)) * k.SIGReg.Item()
							count += float64(v.Z.Size(0))
						}
					}
					if l.Kinds != nil && centred(views, c.N) {
						torchtest.Close(t, []float64{c.Prediction, c.SIGReg}, []float64{prediction / sum, statistic / count}, tol, floor)
					}
					torchtest.Close(t, []float64{c.Total, c.Prediction, c.SIGReg}, []float64{got.Loss, got.Prediction, got.SIGReg}, tol, floor)
					for j, v := range views {
						torchtest.Close(t, c.Grads[j], v.Z.Grad().Float64s(), tol, floor, j)
					}
				})
			})
		}
	}
}

// centred reports whether all samples have a global view, so that each view is in the prediction.
func centred(views []Views, n int64) bool {
	for _, v := range views {
		if v.Globals > 0 && v.Samples == nil {
			return true
		}
	}
	return n == 0
}

// TestProjectors reads what it wrote, and names what is no file of projectors.
func TestProjectors(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		file := filepath.Join(t.TempDir(), "projectors.safetensors")
		kinds := map[string]*Projector{
			"image": NewProjector(s, 6, ProjectorConfig{Hidden: []int{8, 5}, Dim: 4}, 1, torch.Float32),
			"text":  NewProjector(s, 3, ProjectorConfig{Dim: 4}, 2, torch.Float32),
		}
		require.NoError(t, SaveProjectors(s, file, kinds))
		read, err := LoadProjectors(s, file)
		require.NoError(t, err)
		require.Len(t, read, 2)
		for kind, p := range kinds {
			x := s.FromFloat64(torchtest.Values(5, int(7*p.in)), 7, p.in).To(torch.Float32)
			s.NoGrad(func() {
				assert.Equal(t, p.Forward(s, x, nn.Pass{}).Float32s(), read[kind].Forward(s, x, nn.Pass{}).Float32s(), kind)
			})
			p.Params().Close()
			read[kind].Params().Close()
		}
		f, err := weights.Open(file)
		require.NoError(t, err)
		assert.Contains(t, f.Metadata()["gojepa.projector.image"], `{"in":6,"hidden":[8,5],"dim":4}`)
		_, ok := f.Lookup("image.1.running_mean")
		assert.True(t, ok, "torchvision.ops.MLP's keys")
		require.NoError(t, f.Close())

		info := weights.Info{Name: "text.0.weight", DType: weights.F32, Shape: []int64{1, 1}}
		for meta, want := range map[string]string{
			`{"in":1,"hidden":[],"dim":1000000000}`: "text.0.weight is [1 1], and by them [1000000000 1]", `{"in":0,"dim":1}`: "in: 0", "wide": "invalid character",
			`{"in":1,"dim":0}`: "dim: 0", `{"in":1,"dim":1}`: "that of text: ",
		} {
			require.NoError(t, weights.SaveFile(file, []weights.Entry{weights.NewEntry(info, make([]byte, 4))}, map[string]string{"gojepa.projector.text": meta}))
			_, err = LoadProjectors(s, file)
			assert.ErrorContains(t, err, want)
			assert.ErrorContains(t, err, file)
		}
		require.NoError(t, weights.SaveFile(file, []weights.Entry{weights.NewEntry(info, make([]byte, 4))}, nil))
		_, err = LoadProjectors(s, file)
		assert.ErrorContains(t, err, "has none")
	})
}

// TestJointOfOneKind is Compute, bit for bit, and so is the joint model.
func TestJointOfOneKind(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		o := Default()
		o.Slices.Count = 16
		for _, dtype := range []torch.DType{torch.Float32, torch.BFloat16} {
			z := s.FromFloat64(torchtest.Values(1, 3*8*4), 3, 8, 4).To(dtype)
			x, y := z.Clone().SetRequiresGrad(true), z.Clone().SetRequiresGrad(true)
			want, got := o.Compute(s, x, 2, 5), o.ComputeJoint(s, []Views{{Z: y, Globals: 2}, {}}, 8, 5)
			assert.Equal(t, want.Total.Item(), got.Total.Item())
			want.Total.Backward()
			got.Total.Backward()
			assert.Equal(t, x.Grad().To(torch.Float64).Float64s(), y.Grad().To(torch.Float64).Float64s())
		}
	})
}

func TestJointFiniteDifferences(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		o := Objective{Lambda: 0.3, Test: sigreg.Default(), Slices: sigreg.Slices{Count: 8, Seed: 4}}
		images, texts := torchtest.Values(1, 3*5*2), torchtest.Values(2, 2*3*2)
		loss := func(i, t []float64) (a, b torch.Tensor, l Loss) {
			a, b = s.FromFloat64(i, 3, 5, 2).SetRequiresGrad(true), s.FromFloat64(t, 2, 3, 2).SetRequiresGrad(true)
			return a, b, o.ComputeJoint(s, []Views{{Z: a, Globals: 2}, {Z: b, Globals: 1, Samples: []int{4, 0, 2}}}, 5, 9)
		}
		a, b, l := loss(images, texts)
		l.Total.Backward()
		const h = 1e-5
		for _, x := range []struct {
			at   []float64
			grad torch.Tensor
		}{{images, a.Grad()}, {texts, b.Grad()}} {
			var want []float64
			for i, v := range x.at {
				x.at[i] = v + h
				_, _, up := loss(images, texts)
				x.at[i] = v - h
				_, _, down := loss(images, texts)
				x.at[i] = v
				want = append(want, (up.Total.Item()-down.Total.Item())/(2*h))
			}
			torchtest.Close(t, want, x.grad.Float64s(), 1e-8, 0)
		}
	})
}

// TestJointMissing: what is missing is nowhere, whatever the numbers of other samples are.
func TestJointMissing(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		o := Objective{Lambda: 0.3, Test: sigreg.Default(), Slices: sigreg.Slices{Count: 8}}
		images := s.FromFloat64(torchtest.Values(1, 2*4*3), 2, 4, 3)
		texts := s.FromFloat64(torchtest.Values(2, 3), 1, 1, 3).SetRequiresGrad(true)
		none := o.ComputeJoint(s, []Views{{Z: images, Globals: 1}, {}}, 4, 1)
		one := o.ComputeJoint(s, []Views{{Z: images, Globals: 1}, {Z: texts, Samples: []int{2}}}, 4, 1)
		assert.InDelta(t, none.SIGReg.Item(), one.SIGReg.Item(), 1e-14, "one text has no distribution")
		assert.Equal(t, []int64{2, 8}, one.Statistics.Shape())
		d := images.Select(0, 0).Select(0, 2).Sub(texts.Select(0, 0).Select(0, 0)).Square().Sum().Item()
		assert.InDelta(t, (none.Prediction.Item()*24+d)/27, one.Prediction.Item(), 1e-14)
		alone := o.ComputeJoint(s, []Views{{}, {Z: texts, Samples: []int{2}}}, 4, 1)
		assert.Zero(t, alone.Total.Item(), "a text without a global view is predicted by nothing")
		assert.True(t, alone.Total.RequiresGrad())

		for want, v := range map[string][]Views{
			"lejepa: no views of any kind":                         {{}},
			"lejepa: 3 global views of 2":                          {{Z: images, Globals: 3}, {Z: texts, Samples: []int{0}}},
			"lejepa: views 1 have sample 4 of 4, or have it twice": {{Z: images, Globals: 1}, {Z: texts, Samples: []int{4}}},
			"lejepa: views 1 have sample 1 of 4, or have it twice": {{Z: images, Globals: 1}, {Z: images.Narrow(1, 0, 2), Samples: []int{1, 1}}},
		} {
			assert.PanicsWithValue(t, want, func() { o.ComputeJoint(s, v, 4, 0) })
		}
		assert.Panics(t, func() { o.ComputeJoint(s, []Views{{Z: images, Globals: 1}, {Z: texts, Samples: []int{0, 1}}}, 4, 0) })
	})
}

// words is an encoder that takes the mean of embeddings of ids, with drop path.
type words struct {
	params *torch.Params
	table  torch.Tensor
	drop   nn.DropPath
}

func newWords(s *torch.Scope) *words {
	p := torch.NewParams(7, torch.Float64)
	return &words{p, p.Root().Param(s, "table", nn.Normal(1), 10, 4), nn.DropPath{Rate: 0.5}}
}

func (e *words) Forward(s *torch.Scope, ids torch.Tensor, p nn.Pass) torch.Tensor {
	return e.drop.Forward(s, s.Use(e.table).Embedding(ids).MeanDim(1, false), p)
}
func (e *words) Dim() int64            { return 4 }
func (e *words) Params() *torch.Params { return e.params }

// TestJointAccumulates compares gradients of a whole batch with those of pieces, of two kinds and of one that is missing.
func TestJointAccumulates(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		o := Objective{Lambda: 0.2, Test: sigreg.Default(), Slices: sigreg.Slices{Count: 8}}
		m := Joint{}
		for i := range 3 {
			e := newWords(s)
			m = append(m, &Model{Encoder: e, Projector: NewProjector(s, 4, ProjectorConfig{Hidden: []int{6}, Dim: 3}, uint64(i), torch.Float64)})
			defer m[i].Projector.Params().Close()
			defer e.params.Close()
		}
		ids := func(seed uint64, shape ...int64) torch.Tensor {
			n := int64(1)
			for _, d := range shape {
				n *= d
			}
			v := torchtest.Values(seed, int(n))
			x := make([]int64, n)
			for i := range x {
				x[i] = int64((v[i] + 2) * 2)
			}
			return s.FromInt64(x, shape...)
		}
		pass := nn.Pass{Train: true, Seed: 3, Step: 4}
		some := []int{5, 1, 3}
		objective := func(s *torch.Scope, z []torch.Tensor) Loss {
			return o.ComputeJoint(s, []Views{{Z: z[0], Globals: 2}, {Z: z[1], Samples: some}, {Z: z[2]}}, 6, 4)
		}
		a, b, c := ids(1, 2, 6, 3), ids(2, 1, 6, 2), ids(3, 2, 3, 5)
		grads := func(run func() Loss) (out [][]float64) {
			loss := run()
			out = append(out, []float64{loss.Total.Item()})
			for _, m := range m[:2] {
				for _, p := range []*torch.Params{m.Encoder.Params(), m.Projector.Params()} {
					for _, q := range p.Trained() {
						v := s.Use(q.Value)
						out = append(out, v.Grad().Float64s())
						v.SetGrad(torch.Tensor{})
					}
				}
			}
			return out
		}
		whole := grads(func() Loss {
			l := objective(s, m.Forward(s, [][]torch.Tensor{{a, b}, {c}, nil}, pass))
			l.Total.Backward()
			return l
		})
		crops := func(x torch.Tensor) Crops {
			flat := x.Flatten(0, 1)
			return Crops{x.Size(0), func(s *torch.Scope, from, to int64) torch.Tensor { return flat.Narrow(0, from, to-from) }}
		}
		for _, images := range []int64{1, 2, 100} {
			pieces := grads(func() Loss {
				return m.Accumulate(s, []Kind{{[]Crops{crops(a), crops(b)}, 6}, {[]Crops{crops(c)}, 3}, {}}, Micro{Images: images, Cast: torch.Float32, Segments: true}, pass, objective)
			})
			for i := range whole {
				torchtest.Close(t, whole[i], pieces[i], 1e-12, 1e-15, images, i)
			}
		}
		z := m.Forward(s, [][]torch.Tensor{{a}, {a}, nil}, pass)
		assert.False(t, z[2].Defined())
		assert.NotEqual(t, m[0].Encoder.Forward(s, a.Flatten(0, 1), pass).Float64s(),
			m[0].Encoder.Forward(s, a.Flatten(0, 1), nn.Pass{Train: true, Seed: 3, Step: 4, Part: partsOfKind}).Float64s(), "masks of another kind are others")
	})
}
