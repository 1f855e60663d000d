package train

import (
	"context"
	"fmt"
	"image"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"

	"github.com/gojepa/gojepa/eval/look"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/train/live"
	"github.com/gojepa/gojepa/train/progress"
	"github.com/gojepa/gojepa/train/report"
	"github.com/gojepa/gojepa/train/runlog"
	"github.com/gojepa/gojepa/vision/images"
	"github.com/gojepa/gojepa/vision/views"
)

// shownViews is how many images the page shows with their views.
const shownViews = 6

// listen takes the address of the page before anything else is done, so that one that cannot be had ends the run at once.
func listen(address string) (*live.Server, error) {
	if address == "" {
		return nil, nil
	}
	return live.Listen(address)
}

// watch has the page know what came before, and serves it if it is to be.
func (r *run) watch(ctx context.Context) error {
	path := filepath.Join(r.cfg.Out, metricsFile)
	if err := runlog.Each(path, r.board.Past, r.board.Eval, func(runlog.Back) {}); err != nil {
		return err
	}
	config, err := r.cfg.Encode()
	if err != nil {
		return err
	}
	r.board.Set(func(p *report.Report) {
		p.Title = "LeJEPA on " + r.data.name
		p.Summary = fmt.Sprintf("%s on %s images, %d steps.", r.encoderName(), thousands(r.data.train.Len()), r.steps)
		p.Config, p.GaussianSIGReg = string(config), r.expected
		p.Facts = r.facts()
	})
	if r.server == nil {
		return nil
	}
	r.showViews(ctx)
	r.board.Phase("starting", r.steps)
	r.server.Serve(r.board, path)
	who := ""
	if !r.server.Local() {
		who = ", to everybody who reaches this machine"
	}
	r.printf("the run is shown at %s%s\n", r.server.URL(), who)
	return nil
}

// showViews puts some images and their views on the page. A run does not end for want of them.
func (r *run) showViews(ctx context.Context) {
	rows, err := r.viewRows(ctx, shownViews)
	if err != nil {
		r.printf("the page shows no views: %v\n", err)
		return
	}
	r.board.Set(func(p *report.Report) { p.Views = rows })
}

// showEvaluation brings the page up to date after an evaluation.
func (r *run) showEvaluation(ctx context.Context) {
	sheet, err := r.sheet(ctx)
	if err != nil {
		r.printf("the page shows no nearest neighbours: %v\n", err)
	}
	facts, skipped := r.facts(), r.skipped()
	r.board.Set(func(p *report.Report) {
		p.Facts, p.Skipped = facts, skipped
		if sheet != nil {
			p.Neighbours = sheet
		}
	})
}

// skipped are the images that could not be read, and those whose captions could not.
func (r *run) skipped() (all []report.Skipped) {
	for _, name := range slices.Sorted(maps.Keys(r.at.Broken)) {
		all = append(all, report.Skipped{Path: name, Reason: r.at.Broken[name]})
	}
	for _, name := range slices.Sorted(maps.Keys(r.at.BadTexts)) {
		all = append(all, report.Skipped{Path: name, Reason: "its caption: " + r.at.BadTexts[name]})
	}
	return all
}

// report writes the page of the run.
func (r *run) report(ctx context.Context, values map[string]float64) error {
	r.showViews(ctx)
	r.showEvaluation(ctx)
	if err := r.showMaps(ctx); err != nil {
		return err
	}
	r.board.Set(func(p *report.Report) {
		p.Summary = fmt.Sprintf("%s, %d steps on %s images in %s.", r.encoderName(), r.at.Step, thousands(r.data.train.Len()), progress.Duration(r.at.Elapsed))
		if _, labelled := values["knn"]; labelled {
			p.Accuracy = accuracyTable(values)
		}
	})
	return report.Write(filepath.Join(r.cfg.Out, reportFile), r.board.Report())
}

// viewRows are some images in the order of the first epoch, with the views that it made of them.
func (r *run) viewRows(ctx context.Context, n int) ([]report.ViewRow, error) {
	c := views.DefaultLoaderConfig()
	c.BatchSize, c.Seed, c.Workers, c.Prefetch = min(n, r.data.train.Len()), r.cfg.Seed, 1, 1
	c.MaxBroken = 1
	loader, err := views.NewLoader(ctx, r.data.train, r.transform, c)
	if err != nil {
		return nil, err
	}
	defer loader.Close()
	b, err := loader.Next(ctx)
	if err != nil {
		return nil, err
	}
	rows := make([]report.ViewRow, b.Rows())
	for i := range rows {
		m, err := r.data.train.Image(ctx, b.Samples[i])
		if err != nil {
			return nil, err
		}
		row := report.ViewRow{Image: report.Picture{Image: look.Picture(m), Name: b.Name(i)}}
		if r.texts != nil {
			row.Texts = r.texts.views(r.cfg.Text, r.cfg.Seed, b.Epoch, b.Samples[i])
		}
		for g, l := range b.Groups {
			for v := range l.Views {
				p := report.Picture{Image: viewImage(b, g, v, i), Name: fmt.Sprintf("view %d of %s", v+1, b.Name(i))}
				if l.Global {
					row.Global = append(row.Global, p)
				} else {
					row.Local = append(row.Local, p)
				}
			}
		}
		rows[i] = row
	}
	return rows, nil
}

// viewImage is a view to look at.
func viewImage(b *views.Batch, group, view, row int) image.Image {
	l := b.Groups[group].Layout
	m := &images.Image{Channels: l.Channels, Height: l.Size, Width: l.Size}
	if l.Deep {
		m.Float = b.FloatView(group, view, row)
	} else {
		m.Pix = b.View(group, view, row)
	}
	return look.Picture(m)
}

// facts are what the page says of the run.
func (r *run) facts() []report.FactGroup {
	c := r.cfg
	training := []report.Fact{
		{Name: "steps", Value: thousands(r.steps)},
		{Name: "batch", Value: fmt.Sprintf("%d images", c.Schedule.BatchSize.Or(0))},
		{Name: "optimiser", Value: c.Optim.Name},
		{Name: "precision", Value: c.Precision},
		{Name: "seed", Value: fmt.Sprint(c.Seed)},
	}
	if r.at.Elapsed > 0 {
		training = append(training,
			report.Fact{Name: "time", Value: progress.Duration(r.at.Elapsed)},
			report.Fact{Name: "images per second", Value: fmt.Sprintf("%.0f", float64(r.at.Step*c.Schedule.BatchSize.Or(0))/r.at.Elapsed.Seconds())})
	}
	if !r.online.began.IsZero() && r.trained > 0 {
		training = append(training,
			report.Fact{Name: "waiting for data", Value: percent(share(r.waited, r.trained))},
			report.Fact{Name: "evaluations", Value: percent(share(r.online.spent, r.trained+r.online.spent)) + " of the time"})
	}
	for _, b := range r.at.Backs {
		training = append(training, report.Fact{Name: "stepped back", Value: fmt.Sprintf("step %d diverged; on from step %d with seed %d", b.From, b.Step, b.Seed)})
	}
	groups := []report.FactGroup{
		{Name: "Data", Facts: []report.Fact{
			{Name: "images", Value: thousands(r.data.train.Len())},
			{Name: "channels", Value: fmt.Sprint(r.data.channels)},
			{Name: "views", Value: r.describeViews()},
			{Name: "skipped", Value: fmt.Sprint(len(r.at.Broken))},
		}},
		{Name: "Model", Facts: []report.Fact{
			{Name: "encoder", Value: r.encoderName()},
			{Name: "parameters", Value: fmt.Sprintf("%.2f M", float64(r.model.Encoder.Params().Count())/1e6)},
			{Name: "embedding", Value: fmt.Sprint(r.model.Encoder.Dim())},
			{Name: "projections", Value: fmt.Sprint(c.Projector.Dim)},
		}},
		{Name: "Training", Facts: training},
		{Name: "Machine", Facts: []report.Fact{
			{Name: "device", Value: r.th.Device().String()},
			{Name: "threads", Value: fmt.Sprintf("%d, and %d that make views", c.Threads.Or(runtime.NumCPU()), c.Workers.Or(runtime.NumCPU()))},
			{Name: "cores", Value: fmt.Sprint(runtime.NumCPU())},
			{Name: "peak memory", Value: peakMemory()},
			{Name: "libtorch", Value: torch.Version()},
			{Name: "Go", Value: fmt.Sprintf("%s, %s/%s", runtime.Version(), runtime.GOOS, runtime.GOARCH)},
			{Name: "gojepa", Value: version()},
		}},
	}
	if e := r.textEncoder(); e != nil {
		groups = slices.Insert(groups, 2, report.FactGroup{Name: "Captions", Facts: []report.Fact{
			{Name: "images that have one", Value: "about " + percent(r.texts.share)},
			{Name: "views", Value: fmt.Sprintf("%d × %d tokens at most", c.Text.Views, c.Text.MaxTokens.Or(0))},
			{Name: "tokens", Value: thousands(r.texts.tokenizer.Size())},
			{Name: "encoder", Value: e.Spec().Name},
			{Name: "parameters", Value: fmt.Sprintf("%.2f M", float64(e.Params().Count())/1e6)},
			{Name: "skipped", Value: fmt.Sprint(len(r.at.BadTexts))},
		}})
	}
	return groups
}

// peakMemory is the most that the process has had in memory.
func peakMemory() string {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return "unknown"
	}
	bytes := float64(u.Maxrss)
	if runtime.GOOS != "darwin" {
		bytes *= 1024
	}
	return fmt.Sprintf("%.2f GB", bytes/1e9)
}
