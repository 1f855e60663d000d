package train

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/train/runlog"
	"github.com/gojepa/gojepa/vision/images"
)

const (
	keptBytes      = 256 << 20 // images of an evaluation are kept in memory if they take no more
	mostOnline     = 200       // evaluations in a run whose spacing is a share of the time
	heldOutSlices  = 1 << 63   // the step that names the directions of evaluations, which no step of a run has
	onlineProbe    = 300       // steps of the linear probe, of which the curve is of interest and not the optimum
	probeTime      = time.Second
	onlineSamples  = 2 // counters of the stream that draws images: 2 for these, 1 is the report's
	onlineTeachers = 3
)

// online evaluates a run now and then, on some images that are always the same. It reads the weights and changes nothing, so
// that a run trains equally with and without it.
type online struct {
	test, train *sample        // train is nil without labels
	expected    float64        // SIGReg of a Gaussian, in sets of the size that there are
	began       time.Time      // of this session's training
	spent, last time.Duration  // in evaluations during training, and in the last one
	prepared    time.Duration  // what of the last one is done only once
	features    eval.Extracted // of test, from the last evaluation
	shown       []string       // what of it belongs into a line of progress
}

// sample is images that are evaluated again and again.
type sample struct {
	images.Subset
	kept *eval.Prepared // nil if there was no memory for them
}

// evaluationDue says whether to evaluate after the step that is done. Of a share of the time it is due where all evaluations
// of this session, and another that takes as long as the last, come to no more than that share. What the first takes is not
// known: an image is then taken to cost what it costs in training, with all its views and the backward.
func (r *run) evaluationDue(perEpoch int) bool {
	every := r.cfg.EvalEvery
	if every.Share == 0 {
		return every.Due(r.at.Step, perEpoch, time.Since(r.evaluated))
	}
	if r.at.Step%max(1, r.steps/mostOnline) != 0 {
		return false
	}
	cost := r.online.last
	if cost == 0 {
		if r.stepTime == 0 {
			return false
		}
		n := min(r.cfg.EvalSamples, r.data.train.Len())
		if l, ok := r.data.train.(images.Labelled); ok && len(l.Classes()) > 1 {
			n, cost = 2*n, probeTime
		}
		cost += time.Duration(float64(n) / float64(r.cfg.Schedule.BatchSize.Or(1)) * float64(r.stepTime))
	}
	return float64(r.online.spent+cost) <= every.Share*float64(time.Since(r.online.began)+cost)
}

// evaluateOnline records an evaluation during training. What cannot be measured costs only its figures.
func (r *run) evaluateOnline(ctx context.Context) error {
	r.board.Phase("evaluating", r.steps)
	defer r.board.Phase("training", r.steps)
	began := time.Now()
	values, err := r.measureOnline(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		r.printf("not evaluated after step %d: %v\n", r.at.Step, err)
	}
	if len(values) == 0 {
		return nil
	}
	if r.server != nil {
		r.showEvaluation(ctx)
	}
	took := time.Since(began)
	o := &r.online
	o.spent, o.last = o.spent+took, took-o.prepared
	r.printf("evaluated after step %d in %.2g s: %s\n", r.at.Step, took.Seconds(), strings.Join(o.shown, ", "))
	return r.record(values)
}

// record writes down an evaluation.
func (r *run) record(values map[string]float64) error {
	e := runlog.Eval{Step: r.at.Step, Epoch: r.epoch(r.at.Step), Values: values}
	if o := r.online; r.at.Step < r.steps {
		e.Seconds, e.Share = o.last.Seconds(), share(o.spent, time.Since(o.began))
	}
	if err := r.log.Eval(e); err != nil {
		return err
	}
	r.board.Eval(e)
	return nil
}

// measureOnline is what some of the images say about the weights: without labels rank and Gaussianity, with labels k-NN and
// linear probe too. With an error it returns what was measured all the same.
func (r *run) measureOnline(ctx context.Context) (values map[string]float64, err error) {
	o := &r.online
	defer func() { r.evaluated, o.shown = time.Now(), shownFigures(values) }()
	o.prepared = 0
	if o.test == nil {
		began := time.Now()
		if err := r.drawSamples(ctx); err != nil {
			return nil, err
		}
		o.prepared = time.Since(began)
	}
	values = map[string]float64{}
	if err := r.with(ctx, r.optimiser, func() error { return r.withoutLabels(ctx, values) }); err != nil {
		return nil, err
	}
	if o.train == nil {
		return values, nil
	}
	for prefix, w := range r.averages() {
		err := r.with(ctx, w, func() error {
			more, err := r.measure(ctx, o.train, o.test, prefix+"online_", onlineProbe, func(src images.Source) (eval.Extracted, error) {
				if prefix == "" && src == images.Source(o.test) {
					return o.features, nil
				}
				return r.sampleFeatures(ctx, src.(*sample))
			})
			maps.Copy(values, more)
			return err
		})
		if err != nil {
			return values, err
		}
	}
	return values, nil
}

// averages are the weights that are evaluated, by what the names of their figures begin with.
func (r *run) averages() map[string]evaluated {
	all := map[string]evaluated{"": r.optimiser}
	if r.average != nil {
		all["ema_"] = r.average
	}
	return all
}

// drawSamples chooses the images.
func (r *run) drawSamples(ctx context.Context) (err error) {
	train, test, labelled := r.data.evaluation(r.cfg.Seed)
	if !labelled {
		train, test = nil, r.data.train
		if r.data.test != nil {
			test = r.data.test
		}
	}
	if r.online.test, err = r.draw(ctx, test, onlineSamples); err != nil || !labelled {
		return err
	}
	r.online.train, err = r.draw(ctx, train, onlineTeachers)
	return err
}

// draw chooses some images of a source, in its order, and keeps them in memory if they are not too large.
func (r *run) draw(ctx context.Context, src images.Source, counter uint64) (*sample, error) {
	n := src.Len()
	m := &sample{Subset: images.Subset{Source: src, Index: pick(rng.New(r.cfg.Seed, rng.Sample, counter, 0).Perm(n), r.cfg.EvalSamples)}}
	o := r.extraction()
	if o.PreparedBytes(m.Len()) > keptBytes {
		return m, nil
	}
	var err error
	m.kept, err = eval.Prepare(ctx, m, o)
	return m, err
}

// sampleFeatures are those of a sample by the weights in the encoder.
func (r *run) sampleFeatures(ctx context.Context, m *sample) (f eval.Extracted, err error) {
	if m.kept != nil {
		f, err = m.kept.Extract(ctx, r.th, r.model.Encoder)
	} else {
		f, err = eval.Extract(ctx, r.th, r.model.Encoder, m, r.extraction())
	}
	if err != nil {
		return f, fmt.Errorf("features of %s: %w", r.data.name, err)
	}
	for _, b := range f.Broken {
		r.leftOut(b)
	}
	return f, nil
}

// withoutLabels adds the rank of embeddings, and SIGReg of embeddings and projections.
func (r *run) withoutLabels(ctx context.Context, values map[string]float64) error {
	f, err := r.sampleFeatures(ctx, r.online.test)
	if err != nil {
		return err
	}
	r.online.features = f
	rank, err := eval.MeasureRank(ctx, r.th, f.Features)
	if err != nil {
		return err
	}
	values["rankme"], values["participation"], values["alpha_req"] = rank.RankMe, rank.Participation, rank.Decay.Alpha
	return r.gaussianity(ctx, f.Features, values)
}

// gaussianity adds SIGReg of held-out projections as they are, which is what training lowers, and of embeddings moved to mean 0
// and scaled to variance 1 on average, as training leaves both open. Its value grows with the number of samples, so that
// they come in sets as large as a batch: it is then to be compared with training's, and with a Gaussian's.
func (r *run) gaussianity(ctx context.Context, f eval.Features, values map[string]float64) error {
	batch := r.cfg.Schedule.BatchSize.Or(1)
	size := min(batch, f.N)
	sets := f.N / size
	return r.th.Do(ctx, func(s *torch.Scope) {
		s.NoGrad(func() {
			if r.online.expected == 0 {
				r.online.expected = r.expected
				if size != batch {
					r.online.expected = r.objective.SIGReg().Expected(s, int64(size))
				}
			}
			x := s.FromFloat32(f.X[:sets*size*f.D], int64(sets*size), int64(f.D))
			var z torch.Tensor
			s.Autocast(r.precision(), func() { z = r.model.Projector.Forward(s, x, nn.Pass{}) })
			centred := x.Sub(x.MeanDim(0, true))
			values["sigreg"] = r.heldOut(s, z.To(torch.Float32), sets, size)
			values["sigreg_embeddings"] = r.heldOut(s, centred.Div(centred.Square().Mean().Sqrt()), sets, size)
			values["sigreg_expected"] = r.online.expected
		})
	})
}

// heldOut is SIGReg of samples z [sets·size, K], on directions that are the same at every evaluation.
func (r *run) heldOut(s *torch.Scope, z torch.Tensor, sets, size int) float64 {
	a := r.objective.Slices.At(s, z.DType(), heldOutSlices, int(z.Size(1)))
	mean, _ := r.objective.SIGReg().Mean(s, z.Reshape(int64(sets), int64(size), z.Size(1)), a)
	return mean.Item()
}

// with puts weights in place of those in training while f runs.
func (r *run) with(ctx context.Context, weights evaluated, f func() error) (err error) {
	if err := r.th.Do(ctx, weights.Eval); err != nil {
		return err
	}
	// Not ctx: training may go on when it has ended, if only to save.
	defer func() { err = errors.Join(err, r.th.Do(context.WithoutCancel(ctx), weights.Train)) }()
	return f()
}

// shownFigures are an evaluation's for a line of progress.
func shownFigures(values map[string]float64) (all []string) {
	if v, ok := values["online_knn"]; ok {
		all = append(all, "k-NN "+percent(v))
	}
	if v, ok := values["online_linear"]; ok {
		all = append(all, "linear "+percent(v))
	}
	if v, ok := values["rankme"]; ok {
		all = append(all, fmt.Sprintf("RankMe %.1f", v), fmt.Sprintf("held-out SIGReg %.3g", values["sigreg"]))
	}
	return all
}
