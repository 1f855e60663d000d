package eval

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/torch/optim"
)

// AdamWOptions are those of [AdamWProbe].
type AdamWOptions struct {
	Epochs      int
	BatchSize   int     // samples a step; all if there are fewer
	LR          float64 // learning rate of the first step; it falls to 0 along half a cosine
	WeightDecay float64
	Seed        uint64 // names the order of samples
}

// DefaultAdamW has the weight decay that LeJEPA's paper gives; it says nothing of the rest.
func DefaultAdamW() AdamWOptions {
	return AdamWOptions{Epochs: 30, BatchSize: 512, LR: 1e-2, WeightDecay: 1e-6}
}

func (o AdamWOptions) check() error {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf("eval: AdamW probe: "+format, a...)) }
	if o.Epochs < 1 {
		bad("Epochs is %d: expected 1 or more", o.Epochs)
	}
	if o.BatchSize < 1 {
		bad("BatchSize is %d: expected 1 or more", o.BatchSize)
	}
	if !(o.LR > 0) || math.IsInf(o.LR, 0) {
		bad("LR is %v: expected a number above 0", o.LR)
	}
	if !(o.WeightDecay >= 0) || math.IsInf(o.WeightDecay, 0) {
		bad("WeightDecay is %v: expected 0 or more", o.WeightDecay)
	}
	return errors.Join(errs...)
}

// AdamWProbe is the probe of LeJEPA's paper (arXiv 2511.08544): a linear classifier of each sample's features after
// LayerNorm, trained by AdamW with next to no weight decay. It fits one to train by [FitAdamW] and says how often it is
// right on test. [LinearProbe] finds the optimum instead, of a problem that has just one, and needs no learning rate.
func AdamWProbe(ctx context.Context, th *torch.Thread, train, test Features, o AdamWOptions) (Accuracy, error) {
	if err := checkTraining(train); err != nil {
		return Accuracy{}, err
	}
	if _, err := checkTest(test, train.D, train.classes(), train.Classes); err != nil {
		return Accuracy{}, err
	}
	l, err := FitAdamW(ctx, th, train, o)
	if err != nil {
		return Accuracy{}, err
	}
	return l.Accuracy(ctx, th, test)
}

// stepsPerDo is how many steps go to the thread at once: few enough to be cancelled soon, many enough to hide the cost.
const stepsPerDo = 50

// FitAdamW fits a linear classifier to features that are scaled to mean 0 and variance 1 over each sample, starting from
// zeros. The bias does not decay.
func FitAdamW(ctx context.Context, th *torch.Thread, train Features, o AdamWOptions) (*Linear, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := checkTraining(train); err != nil {
		return nil, err
	}
	l := newLinear(train, layerNormed)
	every := make([]int, train.N)
	for i := range every {
		every[i] = i
	}
	data, err := l.upload(ctx, th, train, every)
	if err != nil {
		return nil, fmt.Errorf("eval: AdamW probe: %w", err)
	}
	defer data.free()
	p := torch.NewParams(o.Seed, torch.Float32)
	defer p.Close()
	var head *nn.Linear
	var opt *optim.AdamW
	err = th.Do(ctx, func(s *torch.Scope) {
		head = nn.NewLinear(s, p.Root(), int64(l.d), int64(l.n), nn.Options{Weight: nn.Zeros, Bias: nn.Zeros})
		c := optim.Default()
		c.WeightDecay = o.WeightDecay
		opt = optim.NewAdamW(s, c, p)
	})
	if err == nil {
		defer opt.Close()
		err = l.train(ctx, th, data, head, opt, o)
	}
	if err == nil {
		err = l.finish(ctx, th, data, head)
	}
	if err != nil {
		return nil, fmt.Errorf("eval: AdamW probe: %w", err)
	}
	return l, nil
}

// train takes all steps.
func (l *Linear) train(ctx context.Context, th *torch.Thread, data dataset, head *nn.Linear, opt *optim.AdamW, o AdamWOptions) error {
	batch := min(o.BatchSize, data.n)
	perEpoch := (data.n + batch - 1) / batch
	l.Evaluations = perEpoch * o.Epochs
	schedule := optim.Schedule{Peak: o.LR, Steps: l.Evaluations + 1} // which is 0 after the last step
	var order []int64
	for step := 0; step < l.Evaluations; {
		err := th.Do(ctx, func(s *torch.Scope) {
			for range min(stepsPerDo, l.Evaluations-step) {
				if step%perEpoch == 0 {
					order = permutation(o.Seed, step/perEpoch, data.n)
				}
				from := step % perEpoch * batch
				rows := order[from:min(from+batch, data.n)]
				s.Child(func(s *torch.Scope) torch.Tensor {
					at := s.FromInt64(rows, int64(len(rows)))
					x, y := s.Use(data.x).IndexSelect(0, at), s.Use(data.y).IndexSelect(0, at)
					opt.ZeroGrad(s)
					head.Forward(s, x).CrossEntropy(y).Backward()
					opt.Step(s, schedule.At(step))
					return torch.Tensor{}
				})
				step++
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// permutation is the order of n samples in an epoch.
func permutation(seed uint64, epoch, n int) []int64 {
	order := make([]int64, n)
	for i, r := range rng.New(seed, rng.Probe, 1, uint64(epoch)).Perm(n) {
		order[i] = int64(r)
	}
	return order
}

// finish takes the parameters out, and the loss that they have on the training set.
func (l *Linear) finish(ctx context.Context, th *torch.Thread, data dataset, head *nn.Linear) error {
	err := th.Do(ctx, func(s *torch.Scope) {
		l.Weight, l.Bias = s.Use(head.Weight).Float32s(), s.Use(head.Bias).Float32s()
		s.NoGrad(func() {
			data.chunks(s, 0, data.n, l.n, func(x, y torch.Tensor) {
				share := float64(x.Size(0)) / float64(data.n)
				l.Loss += share * head.Forward(s, x).To(torch.Float64).CrossEntropy(y).Item()
			})
		})
	})
	if err == nil && (math.IsNaN(l.Loss) || math.IsInf(l.Loss, 0)) {
		return errors.New("the loss is not finite: a lower LR may help")
	}
	return err
}
