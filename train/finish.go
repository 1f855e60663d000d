package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"

	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/eval/look"
	"github.com/gojepa/gojepa/internal/atomicfile"
	"github.com/gojepa/gojepa/lejepa"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/train/report"
	"github.com/gojepa/gojepa/vision"
	"github.com/gojepa/gojepa/vision/images"
)

// finish writes what a run is for: weights, accuracies where there are labels, and the report.
func (r *run) finish(ctx context.Context) (*Result, error) {
	if err := r.saveEncoder(ctx); err != nil {
		return nil, r.stop(ctx, err)
	}
	r.board.Phase("evaluating", r.steps)
	values, err := r.evaluate(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil, r.stop(ctx, err)
		}
		// What was trained is not lost for want of a figure.
		r.printf("not evaluated: %v\n", err)
	}
	if err := errors.Join(r.writeBroken(), r.log.Sync()); err != nil {
		return nil, err
	}
	last := r.board.Curves().Last()
	if err := r.report(ctx, values); err != nil {
		return nil, r.stop(ctx, err)
	}
	return &Result{
		Out: r.cfg.Out, Steps: r.at.Step, Last: lejepa.Metrics{Loss: last.Loss, Prediction: last.Prediction, SIGReg: last.SIGReg, SIGRegSE: last.SIGRegSE},
		Elapsed: r.at.Elapsed, Values: values, Broken: r.at.Broken, BadTexts: r.at.BadTexts, Config: r.cfg,
	}, nil
}

// saveEncoder writes the encoder's state dict, as safetensors and for torch.load, with what is needed to use it in the
// metadata, and with captions their encoder and both projectors. An encoder that is a TorchScript module is written as one too.
func (r *run) saveEncoder(ctx context.Context) error {
	meta := r.metadata()
	var failed error
	err := r.th.Do(ctx, func(s *torch.Scope) {
		r.optimiser.Eval(s)
		defer r.optimiser.Train(s)
		for _, name := range []string{encoderFile, encoderPTFile} {
			failed = errors.Join(failed, r.model.Encoder.Params().Save(s, filepath.Join(r.cfg.Out, name), meta))
		}
		failed = errors.Join(failed, r.saveText(s))
		if e, ok := r.model.Encoder.(*vision.Encoder); ok && e.Scripted() {
			o := vision.TraceOptions{ImageSize: r.cfg.Encoder.ImageSize.Or(0), Mean: r.mean, Std: r.std}
			failed = errors.Join(failed, e.SaveTorchScript(s, filepath.Join(r.cfg.Out, scriptFile), o))
		}
		if r.average != nil {
			r.average.Eval(s)
			defer r.average.Train(s)
			failed = errors.Join(failed, r.model.Encoder.Params().Save(s, filepath.Join(r.cfg.Out, encoderEMAFile), meta))
		}
	})
	return errors.Join(err, failed)
}

// metadata is what files say about the encoder in them.
func (r *run) metadata() map[string]string {
	var spec vision.Spec // zero for one's own encoder
	if e, ok := r.model.Encoder.(*vision.Encoder); ok {
		spec = e.Spec()
	}
	return vision.Metadata(spec, r.cfg.Encoder.ImageSize.Or(0), r.mean, r.std)
}

// evaluated are weights that take the place of those in training: the optimiser's, or an average.
type evaluated interface {
	Eval(*torch.Scope)
	Train(*torch.Scope)
}

// extraction says how features are made.
func (r *run) extraction() eval.ExtractOptions {
	o := eval.DefaultExtract()
	o.Size, o.Channels, o.Mean, o.Std = r.cfg.Encoder.ImageSize.Or(0), r.data.channels, r.mean, r.std
	o.BF16, o.Deep = r.bf16, r.data.deep
	o.Workers = r.cfg.Workers.Or(o.Workers)
	o.MaxBroken = 1 // training has judged them
	return o
}

// features are those of a source's images, seen whole, with the given weights in the model.
func (r *run) features(ctx context.Context, src images.Source, encoder lejepa.Encoder, weights evaluated) (f eval.Extracted, err error) {
	err = r.with(ctx, weights, func() error {
		if f, err = eval.Extract(ctx, r.th, encoder, src, r.extraction()); err != nil {
			return fmt.Errorf("features of %s: %w", r.data.name, err)
		}
		return nil
	})
	for _, b := range f.Broken {
		r.leftOut(b)
	}
	return f, err
}

// evaluate measures at the end what is measured during training, and k-NN and the linear probe on the frozen features of all
// images; those of the averaged weights after "ema_". With an error it returns what was measured all the same.
func (r *run) evaluate(ctx context.Context) (map[string]float64, error) {
	values, err := r.measureOnline(ctx)
	if values == nil {
		values = map[string]float64{}
	}
	if ctx.Err() == nil {
		err = errors.Join(err, r.whole(ctx, values))
	}
	if ctx.Err() != nil || len(values) == 0 {
		return nil, err
	}
	return values, errors.Join(err, r.record(values))
}

// whole adds the figures that need labels.
func (r *run) whole(ctx context.Context, values map[string]float64) error {
	train, test, ok := r.data.evaluation(r.cfg.Seed)
	if !ok {
		return nil
	}
	for prefix, w := range r.averages() {
		more, err := r.measure(ctx, train, test, prefix, probeSteps, func(src images.Source) (eval.Extracted, error) {
			return r.features(ctx, src, r.model.Encoder, w)
		})
		if err != nil {
			return err
		}
		maps.Copy(values, more)
	}
	if r.options.baselines {
		return r.baselines(ctx, train, test, values)
	}
	return nil
}

// baselines adds what raw pixels and the encoder before training come to.
func (r *run) baselines(ctx context.Context, train, test images.Source, values map[string]float64) error {
	more, err := r.measure(ctx, train, test, "pixels_", probeSteps, func(src images.Source) (eval.Extracted, error) {
		return eval.Pixels(ctx, src, r.cfg.Encoder.ImageSize.Or(0), r.data.kind())
	})
	if err != nil {
		return err
	}
	var untrained lejepa.Encoder
	var failed error
	err = r.th.Do(ctx, func(s *torch.Scope) { untrained, failed = r.newEncoder(s, false) })
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	defer untrained.Params().Close()
	same, err := r.measure(ctx, train, test, "untrained_", probeSteps, func(src images.Source) (eval.Extracted, error) {
		return r.features(ctx, src, untrained, r.optimiser)
	})
	if err != nil {
		return err
	}
	for _, m := range []map[string]float64{more, same} {
		maps.Copy(values, m)
	}
	return nil
}

// measure is k-NN and linear top-1 of some features.
func (r *run) measure(ctx context.Context, train, test images.Source, prefix string, steps int,
	features func(images.Source) (eval.Extracted, error)) (map[string]float64, error) {
	a, err := features(train)
	if err != nil {
		return nil, err
	}
	b, err := features(test)
	if err != nil {
		return nil, err
	}
	knn, err := eval.KNN(ctx, r.th, a.Features, b.Features, eval.DefaultKNN())
	if err != nil {
		return nil, err
	}
	linear, err := eval.AdamWProbe(ctx, r.th, a.Features, b.Features, probe(a.N, steps))
	if err != nil {
		return nil, err
	}
	return map[string]float64{prefix + "knn": knn.Top1, prefix + "linear": linear.Top1}, nil
}

// probeSteps is how long the linear probe is trained at least.
const probeSteps = 1000

// probe is the paper's linear probe, trained for longer where samples are few. With probeSteps it takes a fraction of the time that the
// optimum takes which cmd/evaluate finds, and comes close to it.
func probe(samples, steps int) eval.AdamWOptions {
	o := eval.DefaultAdamW()
	perEpoch := max(1, samples/o.BatchSize)
	o.Epochs = max(o.Epochs, steps/perEpoch)
	return o
}

// writeBroken lists the images that could not be read, and those whose captions could not, in all sessions of the run, if there are any.
func (r *run) writeBroken() error {
	return errors.Join(r.writeList(brokenFile, r.at.Broken), r.writeList(badTextsFile, r.at.BadTexts))
}

// writeList writes names and what is wrong with them, if there are any.
func (r *run) writeList(file string, bad map[string]string) error {
	if len(bad) == 0 {
		return nil
	}
	return atomicfile.Write(filepath.Join(r.cfg.Out, file), func(w io.Writer) error {
		for _, name := range slices.Sorted(maps.Keys(bad)) {
			if _, err := fmt.Fprintf(w, "%s\t%s\n", name, bad[name]); err != nil {
				return err
			}
		}
		return nil
	})
}

// The sheet of nearest neighbours: so many queries, and neighbours of each.
const (
	sheetQueries    = 8
	sheetNeighbours = 8
)

func percent(v float64) string { return fmt.Sprintf("%.1f %%", 100*v) }

// Row is the accuracy of one kind of features.
type Row struct {
	Name        string
	Linear, KNN float64 // top-1, in [0, 1]
}

// Accuracies are a run's [Result] values as rows, the encoder's own first.
func Accuracies(values map[string]float64) (rows []Row) {
	for _, r := range []struct{ name, prefix string }{
		{"this encoder", ""}, {"its averaged weights", "ema_"}, {"the same, untrained", "untrained_"}, {"raw pixels", "pixels_"},
	} {
		if v, ok := values[r.prefix+"linear"]; ok {
			rows = append(rows, Row{r.name, v, values[r.prefix+"knn"]})
		}
	}
	return rows
}

func accuracyTable(values map[string]float64) *report.Table {
	t := &report.Table{Caption: "Top-1 accuracy of frozen features", Columns: []string{"linear probe", "k-NN"}}
	for i, row := range Accuracies(values) {
		t.Rows = append(t.Rows, report.Row{Name: row.Name, Values: []float64{row.Linear, row.KNN}, Main: i == 0})
	}
	return t
}

// sheet finds the nearest neighbours of a few images among those of the last evaluation, whose features it has.
func (r *run) sheet(ctx context.Context) ([]report.Neighbours, error) {
	base := r.online.features
	if base.N == 0 {
		return nil, nil
	}
	queries := min(sheetQueries, base.N)
	first := eval.Features{X: base.X[:queries*base.D], N: queries, D: base.D}
	found, err := eval.Neighbours(ctx, r.th, eval.Features{X: base.X, N: base.N, D: base.D}, first, sheetNeighbours+1)
	if err != nil {
		return nil, err
	}
	var sheet []report.Neighbours
	for q, near := range found {
		query, err := r.picture(ctx, q, 1)
		if err != nil {
			return nil, err
		}
		row := report.Neighbours{Query: query}
		for _, n := range near {
			if n.Index == q || len(row.Nearest) == sheetNeighbours {
				continue // itself
			}
			p, err := r.picture(ctx, n.Index, float64(n.Similarity))
			if err != nil {
				return nil, err
			}
			row.Nearest = append(row.Nearest, p)
		}
		sheet = append(sheet, row)
	}
	return sheet, nil
}

// picture is an image of the last evaluation.
func (r *run) picture(ctx context.Context, row int, similarity float64) (report.Picture, error) {
	src, i := r.online.test, r.online.features.Samples[row]
	var m *images.Image
	if src.kept != nil {
		m = src.kept.Image(row)
	} else {
		var err error
		if m, err = src.Image(ctx, i); err != nil {
			return report.Picture{}, err
		}
	}
	p := report.Picture{Image: look.Picture(m), Name: src.Name(i), Similarity: similarity}
	if l, ok := src.Label(i); ok {
		p.Label = src.Classes()[l]
	}
	return p, nil
}
