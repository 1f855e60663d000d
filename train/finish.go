package train

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/internal/atomicfile"
	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/lejepa"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/train/progress"
	"github.com/gojepa/gojepa/train/report"
	"github.com/gojepa/gojepa/train/runlog"
	"github.com/gojepa/gojepa/vision"
	"github.com/gojepa/gojepa/vision/images"
	"github.com/gojepa/gojepa/vision/views"
)

// finish writes what a run is for: weights, accuracies where there are labels, and the report.
func (r *run) finish(ctx context.Context) (*Result, error) {
	if err := r.saveEncoder(ctx); err != nil {
		return nil, r.stop(ctx, err)
	}
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
	log, err := runlog.Read(filepath.Join(r.cfg.Out, metricsFile))
	if err != nil {
		return nil, err
	}
	var last lejepa.Metrics
	if n := len(log.Steps); n > 0 {
		s := log.Steps[n-1]
		last = lejepa.Metrics{Loss: s.Loss, Prediction: s.Prediction, SIGReg: s.SIGReg, SIGRegSE: s.SIGRegSE}
	}
	if err := r.report(ctx, log, values); err != nil {
		return nil, r.stop(ctx, err)
	}
	return &Result{
		Out: r.cfg.Out, Steps: r.at.Step, Last: last, Elapsed: r.at.Elapsed, Values: values, Broken: r.at.Broken, Config: r.cfg,
	}, nil
}

// saveEncoder writes the encoder's state dict, as safetensors and for torch.load, with what is needed to use it in the
// metadata. An encoder that is a TorchScript module is written as one too.
func (r *run) saveEncoder(ctx context.Context) error {
	meta := r.metadata()
	var failed error
	err := r.th.Do(ctx, func(s *torch.Scope) {
		r.optimiser.Eval(s)
		defer r.optimiser.Train(s)
		for _, name := range []string{encoderFile, encoderPTFile} {
			failed = errors.Join(failed, r.model.Encoder.Params().Save(s, filepath.Join(r.cfg.Out, name), meta))
		}
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

// features are those of a source's images, seen whole, with the given weights in the model.
func (r *run) features(ctx context.Context, src images.Source, encoder lejepa.Encoder, weights evaluated) (_ eval.Extracted, err error) {
	o := eval.DefaultExtract()
	o.Size, o.Channels, o.Mean, o.Std = r.cfg.Encoder.ImageSize.Or(0), r.data.channels, r.mean, r.std
	o.BF16, o.Deep = r.bf16, r.data.deep
	o.Workers = r.cfg.Workers.Or(o.Workers)
	o.MaxBroken = 1 // training has judged them
	if err := r.th.Do(ctx, weights.Eval); err != nil {
		return eval.Extracted{}, err
	}
	// Not ctx: training may go on when it has ended, if only to save.
	defer func() { err = errors.Join(err, r.th.Do(context.WithoutCancel(ctx), weights.Train)) }()
	f, err := eval.Extract(ctx, r.th, encoder, src, o)
	if err != nil {
		return f, fmt.Errorf("features of %s: %w", r.data.name, err)
	}
	for _, b := range f.Broken {
		r.leftOut(b)
	}
	return f, nil
}

// evaluate measures k-NN and the linear probe on frozen features, and those of the averaged weights after "ema_". Without labels it returns nil.
func (r *run) evaluate(ctx context.Context) (map[string]float64, error) {
	train, test, ok := r.data.evaluation(r.cfg.Seed)
	if !ok {
		return nil, nil
	}
	values, err := r.measure(ctx, train, test, "", func(src images.Source) (eval.Extracted, error) {
		return r.features(ctx, src, r.model.Encoder, r.optimiser)
	})
	if err != nil {
		return nil, err
	}
	if r.average != nil {
		more, err := r.measure(ctx, train, test, "ema_", func(src images.Source) (eval.Extracted, error) {
			return r.features(ctx, src, r.model.Encoder, r.average)
		})
		if err != nil {
			return nil, err
		}
		maps.Copy(values, more)
	}
	if r.options.baselines && r.at.Step >= r.steps {
		if err := r.baselines(ctx, train, test, values); err != nil {
			return nil, err
		}
	}
	r.evaluated = time.Now()
	return values, r.log.Eval(runlog.Eval{Step: r.at.Step, Epoch: r.epoch(), Values: values})
}

// baselines adds what raw pixels and the encoder before training come to.
func (r *run) baselines(ctx context.Context, train, test images.Source, values map[string]float64) error {
	more, err := r.measure(ctx, train, test, "pixels_", func(src images.Source) (eval.Extracted, error) {
		return eval.Pixels(ctx, src, r.cfg.Encoder.ImageSize.Or(0), views.Kind{Channels: r.data.channels, Deep: r.data.deep})
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
	same, err := r.measure(ctx, train, test, "untrained_", func(src images.Source) (eval.Extracted, error) {
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
func (r *run) measure(ctx context.Context, train, test images.Source, prefix string,
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
	linear, err := eval.AdamWProbe(ctx, r.th, a.Features, b.Features, probe(a.N))
	if err != nil {
		return nil, err
	}
	return map[string]float64{prefix + "knn": knn.Top1, prefix + "linear": linear.Top1}, nil
}

// probe is the paper's linear probe, trained for longer where samples are few. It takes a fraction of the time that the
// optimum takes which cmd/evaluate finds, and comes close to it.
func probe(samples int) eval.AdamWOptions {
	const steps = 1000
	o := eval.DefaultAdamW()
	perEpoch := max(1, samples/o.BatchSize)
	o.Epochs = max(o.Epochs, steps/perEpoch)
	return o
}

// writeBroken lists the images that could not be read, in all sessions of the run, if there are any.
func (r *run) writeBroken() error {
	if len(r.at.Broken) == 0 {
		return nil
	}
	return atomicfile.Write(filepath.Join(r.cfg.Out, brokenFile), func(w io.Writer) error {
		for _, name := range slices.Sorted(maps.Keys(r.at.Broken)) {
			if _, err := fmt.Fprintf(w, "%s\t%s\n", name, r.at.Broken[name]); err != nil {
				return err
			}
		}
		return nil
	})
}

// The sheet of nearest neighbours: so many queries and neighbours, among so many images.
const (
	sheetQueries    = 8
	sheetNeighbours = 8
	sheetImages     = 4000
)

// report writes the page.
func (r *run) report(ctx context.Context, log *runlog.Log, values map[string]float64) error {
	config, err := r.cfg.Encode()
	if err != nil {
		return err
	}
	sheet, err := r.sheet(ctx)
	if err != nil {
		return err
	}
	page := &report.Report{
		Title:          "LeJEPA on " + r.data.name,
		Summary:        fmt.Sprintf("%s, %d steps on %s images in %s.", r.encoderName(), r.at.Step, thousands(r.data.train.Len()), progress.Duration(r.at.Elapsed)),
		Neighbours:     sheet,
		Log:            log,
		Facts:          r.facts(log),
		Config:         string(config),
		GaussianSIGReg: r.expected,
	}
	if n := len(log.Steps); n > 0 {
		last := log.Steps[n-1]
		page.Figures = append(page.Figures, report.Figure{Value: fmt.Sprintf("%.4f", last.Loss), Name: "training loss",
			Note: fmt.Sprintf("prediction %.4f, SIGReg %.2f", last.Prediction, last.SIGReg)})
	}
	if values != nil {
		page.Figures = append(page.Figures,
			report.Figure{Value: percent(values["linear"]), Name: "linear probe", Note: against(values, "linear")},
			report.Figure{Value: percent(values["knn"]), Name: "k-NN", Note: against(values, "knn")})
		page.Accuracy = accuracyTable(values)
	}
	for _, name := range slices.Sorted(maps.Keys(r.at.Broken)) {
		page.Skipped = append(page.Skipped, report.Skipped{Path: name, Reason: r.at.Broken[name]})
	}
	return report.Write(filepath.Join(r.cfg.Out, reportFile), page)
}

func percent(v float64) string { return fmt.Sprintf("%.1f %%", 100*v) }

func against(values map[string]float64, what string) string {
	if v, ok := values["pixels_"+what]; ok {
		return fmt.Sprintf("raw pixels %s, untrained %s", percent(v), percent(values["untrained_"+what]))
	}
	return ""
}

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

// facts are what the report says of the run.
func (r *run) facts(log *runlog.Log) []report.FactGroup {
	c := r.cfg
	rate := 0.0
	if n := len(log.Steps); n > 0 && log.Steps[n-1].Seconds > 0 {
		rate = float64(n*c.Schedule.BatchSize.Or(0)) / log.Steps[n-1].Seconds
	}
	training := []report.Fact{
		{Name: "steps", Value: thousands(r.at.Step)},
		{Name: "time", Value: progress.Duration(r.at.Elapsed)},
		{Name: "images per second", Value: fmt.Sprintf("%.0f", rate)},
		{Name: "precision", Value: c.Precision},
		{Name: "device", Value: r.th.Device().String()},
		{Name: "libtorch", Value: torch.Version()},
		{Name: "gojepa", Value: version()},
	}
	for _, b := range log.Backs {
		training = append(training, report.Fact{Name: "stepped back", Value: fmt.Sprintf("step %d diverged; on from step %d with seed %d", b.From, b.Step, b.Seed)})
	}
	return []report.FactGroup{
		{Name: "Data", Facts: []report.Fact{
			{Name: "images", Value: thousands(r.data.train.Len())},
			{Name: "channels", Value: fmt.Sprint(r.data.channels)},
			{Name: "views", Value: r.describeViews()},
		}},
		{Name: "Model", Facts: []report.Fact{
			{Name: "encoder", Value: r.encoderName()},
			{Name: "parameters", Value: fmt.Sprintf("%.2f M", float64(r.model.Encoder.Params().Count())/1e6)},
			{Name: "embedding", Value: fmt.Sprint(r.model.Encoder.Dim())},
		}},
		{Name: "Training", Facts: training},
	}
}

// sheet finds the nearest neighbours of a few images among some thousands.
func (r *run) sheet(ctx context.Context) ([]report.Neighbours, error) {
	src := r.data.train
	if r.data.test != nil {
		src = r.data.test
	}
	order := rng.New(r.cfg.Seed, rng.Sample, 1, 0).Perm(src.Len())
	some := subset{src, order[:min(len(order), sheetImages)]}
	base, err := r.features(ctx, some, r.model.Encoder, r.optimiser)
	if err != nil {
		return nil, err
	}
	queries := min(sheetQueries, base.N)
	first := eval.Features{X: base.X[:queries*base.D], N: queries, D: base.D}
	found, err := eval.Neighbours(ctx, r.th, eval.Features{X: base.X, N: base.N, D: base.D}, first, sheetNeighbours+1)
	if err != nil {
		return nil, err
	}
	var sheet []report.Neighbours
	for q, near := range found {
		query, err := r.picture(ctx, some, base.Samples[q], 1)
		if err != nil {
			return nil, err
		}
		row := report.Neighbours{Query: query}
		for _, n := range near {
			if n.Index == q || len(row.Nearest) == sheetNeighbours {
				continue // itself
			}
			p, err := r.picture(ctx, some, base.Samples[n.Index], float64(n.Similarity))
			if err != nil {
				return nil, err
			}
			row.Nearest = append(row.Nearest, p)
		}
		sheet = append(sheet, row)
	}
	return sheet, nil
}

func (r *run) picture(ctx context.Context, src subset, i int, similarity float64) (report.Picture, error) {
	m, err := src.Image(ctx, i)
	if err != nil {
		return report.Picture{}, err
	}
	p := report.Picture{Image: shown(m), Name: src.Name(i), Similarity: similarity}
	if l, ok := src.Label(i); ok {
		p.Label = src.Classes()[l]
	}
	return p, nil
}

// shown turns planar samples into something to look at: RGB if there are three channels, otherwise the first as grey.
func shown(m *images.Image) image.Image {
	out := image.NewRGBA(image.Rect(0, 0, m.Width, m.Height))
	sample := func(c, i int) uint8 {
		if m.Deep() {
			return uint8(255*min(max(m.FloatPlane(c)[i], 0), 1) + 0.5)
		}
		return m.Plane(c)[i]
	}
	colours := [3]int{}
	if m.Channels == 3 {
		colours = [3]int{0, 1, 2}
	}
	for i := range m.Height * m.Width {
		out.SetRGBA(i%m.Width, i/m.Width, color.RGBA{R: sample(colours[0], i), G: sample(colours[1], i), B: sample(colours[2], i), A: 255})
	}
	return out
}
