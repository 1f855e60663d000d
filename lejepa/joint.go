package lejepa

import (
	"fmt"
	"slices"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
)

// Views are the projections of one encoder's views in a step.
type Views struct {
	Z       torch.Tensor // [v, n, K], v views of n samples; undefined where there are none
	Globals int          // the first of them, which are among those that the centre is the mean of: 0 … v

	// Samples says which sample of the batch each of the n is, none twice; nil is all of the batch in its order. Samples that it leaves
	// out do not have these views.
	Samples []int
}

// ComputeJoint is the objective of views of several kinds, such as crops of images and their captions, projected into one space, of a
// batch of n samples, some of which may lack views of some kinds:
//
//	(1 − λ) · mean over all views v that sample n has, and k, of (c_n − z_{v,n})² + λ · mean over views of SIGReg(z_v)
//
// The centre c_n is the mean of the sample's global views of all kinds, as in [Objective.Compute]. What a kind's globals are is for the
// caller to say. Texts have none by default: a caption tells a part of what an image shows, as a local crop does, and so it is predicted
// from, and not the measure of, what the whole image gives; then the centre of a sample is the same with and without its caption, and
// gradient still flows through it from the caption to the images' encoder and back.
//
// What is missing is left out and nothing is put in its place: a view that a sample lacks is in no term, a sample without a global
// view is in no prediction, and SIGReg of a view is over the samples that have it. Its statistic is multiplied by their number, so that it is of the same
// size whatever they are. Views of fewer than two samples, of which no distribution is known, are in no SIGReg. One kind of views
// of all samples is Compute, bit for bit.
//
// Of the result, Statistics are [V, M] of all views that have one. It panics where shapes and samples do not agree.
func (o Objective) ComputeJoint(s *torch.Scope, views []Views, n int64, step uint64) Loss {
	views = slices.Clone(views)
	for i := range views {
		if z := views[i].Z; z.Defined() && z.DType().Size() < 4 {
			views[i].Z = z.To(torch.Float32)
		}
	}
	z := first(views)
	end := s.Span("directions")
	a := o.Slices.At(s, z.DType(), step, int(z.Size(2)))
	end()
	return o.ComputeJointOn(s, views, n, a)
}

// first are the projections of the first kind that there is.
func first(views []Views) torch.Tensor {
	for _, v := range views {
		if v.Z.Defined() {
			return v.Z
		}
	}
	panic("lejepa: no views of any kind")
}

// ComputeJointOn is ComputeJoint on given directions a [K, M], unit columns.
func (o Objective) ComputeJointOn(s *torch.Scope, views []Views, n int64, a torch.Tensor) Loss {
	var there []Views
	var at []int // of each of them among views
	for i, v := range views {
		if v.Z.Defined() {
			v.check(i, n)
			there, at = append(there, v), append(at, i)
		}
	}
	if len(there) == 1 && there[0].Samples == nil {
		return o.ComputeOn(s, there[0].Z, there[0].Globals, a)
	}
	var l Loss
	s.Child(func(s *torch.Scope) torch.Tensor {
		kinds := make([]KindLoss, len(there))
		l.Prediction = prediction(s, there, n, kinds)
		end := s.Span("SIGReg")
		l.SIGReg, l.Statistics = o.regularise(s, there, a, kinds)
		end()
		l.Total = l.Prediction.MulScalar(1 - o.Lambda).Add(l.SIGReg.MulScalar(o.Lambda))
		l.Kinds = make([]KindLoss, len(views))
		for i, k := range kinds {
			l.Kinds[at[i]] = k
		}
		s.Return(l.tensors()...)
		return torch.Tensor{}
	})
	return l
}

// check panics unless samples and globals are as many as the projections.
func (v Views) check(i int, n int64) {
	rows := n
	if v.Samples != nil {
		rows = int64(len(v.Samples))
	}
	if v.Z.Dim() != 3 || v.Z.Size(1) != rows {
		panic(fmt.Sprintf("lejepa: views %d are %v of %d samples", i, v.Z, rows))
	}
	if v.Globals < 0 || int64(v.Globals) > v.Z.Size(0) {
		panic(fmt.Sprintf("lejepa: %d global views of %d", v.Globals, v.Z.Size(0)))
	}
	seen := make([]bool, n)
	for _, j := range v.Samples {
		if j < 0 || int64(j) >= n || seen[j] {
			panic(fmt.Sprintf("lejepa: views %d have sample %d of %d, or have it twice", i, j, n))
		}
		seen[j] = true
	}
}

// prediction is the mean squared distance of the views that there are to their samples' centres, and that of each kind in kinds.
func prediction(s *torch.Scope, views []Views, n int64, kinds []KindLoss) torch.Tensor {
	centre, has := centres(s, views, n)
	var sum torch.Tensor
	count := 0.0
	for i, v := range views {
		at, which := v.of(has)
		if len(at) == 0 {
			kinds[i].Prediction = s.Zeros(v.Z.DType())
			continue
		}
		z, c := v.Z, centre
		if len(at) < int(z.Size(1)) { // some have no centre
			z = z.IndexSelect(1, indices(s, at))
		}
		if v.Samples != nil || len(at) < int(n) {
			c = c.IndexSelect(0, indices(s, which))
		}
		d := c.Unsqueeze(0).Sub(z).Square().Sum()
		kinds[i].Prediction = d.Detach().DivScalar(float64(z.Numel()))
		if count += float64(z.Numel()); !sum.Defined() {
			sum = d
		} else {
			sum = sum.Add(d)
		}
	}
	if count == 0 {
		return first(views).Sum().MulScalar(0) // nothing to predict
	}
	return sum.DivScalar(count)
}

// of lists the rows of the views whose samples are among has, and those samples.
func (v Views) of(has []bool) (rows, samples []int) {
	for i := range int(v.Z.Size(1)) {
		if j := v.sample(i); has[j] {
			rows, samples = append(rows, i), append(samples, j)
		}
	}
	return rows, samples
}

// sample is which of the batch's a row is of.
func (v Views) sample(row int) int {
	if v.Samples == nil {
		return row
	}
	return v.Samples[row]
}

// centres are the means [n, K] of the samples' global views, and which samples have one. Rows of others mean nothing.
func centres(s *torch.Scope, views []Views, n int64) (torch.Tensor, []bool) {
	counts := make([]float64, n)
	var sum torch.Tensor
	for _, v := range views {
		if v.Globals == 0 {
			continue
		}
		part := v.Z.Narrow(0, 0, int64(v.Globals)).SumDim(0, false)
		if v.Samples != nil {
			part = spread(s, part, v.Samples, n)
		}
		for i := range int(v.Z.Size(1)) {
			counts[v.sample(i)] += float64(v.Globals)
		}
		if sum.Defined() {
			part = sum.Add(part)
		}
		sum = part
	}
	has := make([]bool, n)
	for i, c := range counts {
		has[i] = c > 0
		counts[i] = max(c, 1)
	}
	if !sum.Defined() {
		return sum, has
	}
	return sum.Div(s.FromFloat64(counts, n, 1).To(sum.DType())), has
}

// spread puts rows x [len(samples), K] in their places among n, where others are zeros.
func spread(s *torch.Scope, x torch.Tensor, samples []int, n int64) torch.Tensor {
	at := make([]int, n)
	for i := range at {
		at[i] = len(samples)
	}
	for i, j := range samples {
		at[j] = i
	}
	return torch.Cat([]torch.Tensor{x, s.Zeros(x.DType(), 1, x.Size(1))}, 0).IndexSelect(0, indices(s, at))
}

func indices(s *torch.Scope, at []int) torch.Tensor {
	v := make([]int64, len(at))
	for i, x := range at {
		v[i] = int64(x)
	}
	return s.FromInt64(v, int64(len(v)))
}

// regularise is the mean of SIGReg over all views of two samples or more, and their statistics [V, M]; that of each kind is in kinds.
func (o Objective) regularise(s *torch.Scope, views []Views, a torch.Tensor, kinds []KindLoss) (mean, statistics torch.Tensor) {
	var all []torch.Tensor
	total := 0.0
	for i, v := range views {
		if v.Z.Size(1) < 2 {
			kinds[i].SIGReg = s.Zeros(v.Z.DType())
			continue
		}
		m, each := o.SIGReg().Mean(s, v.Z, a)
		kinds[i].SIGReg = m.Detach()
		all = append(all, each)
		k := float64(v.Z.Size(0))
		m = m.MulScalar(k)
		if total += k; mean.Defined() {
			m = mean.Add(m)
		}
		mean = m
	}
	if total == 0 {
		z := first(views)
		return z.Sum().MulScalar(0), s.Zeros(z.DType(), 1, a.Size(1))
	}
	return mean.DivScalar(total), torch.Cat(all, 0)
}

// Joint is what is trained on views of several kinds: for each an encoder, and a projector into one space.
type Joint []*Model

// partsOfKind separates the passes of one kind from those of the next, so that encoders draw masks of drop path of their own.
const partsOfKind = 1 << 16

// Forward maps the views of each kind to projections [v, n, K], as [Model.Forward] does, kind by kind. Of a kind without views, nil,
// it is the zero Tensor. Each projector's BatchNorm has the statistics of its own kind's rows.
func (m Joint) Forward(s *torch.Scope, views [][]torch.Tensor, pass nn.Pass) []torch.Tensor {
	z := make([]torch.Tensor, len(m))
	for i, kind := range views {
		if len(kind) > 0 {
			p := pass
			p.Part += uint64(i) * partsOfKind
			z[i] = m[i].Forward(s, kind, p)
		}
	}
	return z
}
