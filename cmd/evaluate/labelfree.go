package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/train/progress"
	"github.com/gojepa/gojepa/train/runlog"
	"github.com/gojepa/gojepa/vision"
	"github.com/gojepa/gojepa/vision/images"
	"github.com/gojepa/gojepa/vision/views"
)

// labelFree is what features say without labels. Figures that do not exist are null.
type labelFree struct {
	Images        int        `json:"images"` // whole ones, of the test set
	RankMe        eval.Score `json:"rankme"`
	Participation eval.Score `json:"participation"`
	Alpha         eval.Score `json:"alpha_req"`
	AlphaFrom     int        `json:"alpha_req_from"` // the eigenvalues that it is fitted to, counted from 1
	AlphaTo       int        `json:"alpha_req_to"`
	SIGReg        eval.Score `json:"sigreg"`
	Expected      float64    `json:"sigreg_expected"`
	SetSize       int        `json:"sigreg_set_size"`
	LiDAR         eval.Score `json:"lidar"`
	Alignment     eval.Score `json:"alignment"`
	Uniformity    eval.Score `json:"uniformity"`
	Views         *viewing   `json:"views,omitempty"` // nil of embeddings, of which there are no views
}

// viewing says what LiDAR, alignment and uniformity are of.
type viewing struct {
	Recipe string `json:"recipe"` // a preset, or the configuration that they are from
	Images int    `json:"images"`
	Count  int    `json:"count"` // views of each
}

// wholeFeatures measures the features of whole images; what is of views does not exist.
func (o options) wholeFeatures(ctx context.Context, th *torch.Thread, f eval.Features) (labelFree, error) {
	rank, err := eval.MeasureRank(ctx, th, f)
	if err != nil {
		return labelFree{}, err
	}
	g := eval.DefaultGaussian()
	g.Slices.Seed = o.Seed
	gaussian, err := eval.MeasureGaussian(ctx, th, f, g)
	none := eval.Score(math.NaN())
	return labelFree{
		Images: f.N, RankMe: eval.Score(rank.RankMe), Participation: eval.Score(rank.Participation),
		Alpha: eval.Score(rank.Decay.Alpha), AlphaFrom: rank.Decay.From, AlphaTo: rank.Decay.To,
		SIGReg: eval.Score(gaussian.SIGReg), Expected: gaussian.Expected, SetSize: gaussian.SetSize,
		LiDAR: none, Alignment: none, Uniformity: none,
	}, err
}

// labelFree measures the features of whole images, and those of views of some of the images of s.
func (o options) labelFree(ctx context.Context, m *vision.Model, s source, f eval.Features, log io.Writer) (labelFree, error) {
	l, err := o.wholeFeatures(ctx, m.Thread, f)
	if err != nil {
		return l, err
	}
	recipe := o.Views
	if recipe == "" {
		recipe = o.recipeBesideWeights()
	}
	config, err := recipeOf(recipe)
	if err != nil {
		return labelFree{}, fmt.Errorf("--views: %w", err)
	}
	kind := views.Kind{Channels: len(m.Mean), Deep: s.deep}
	config.Global.Count, config.Global.Size, config.Local.Count = o.ViewCount, m.Size, 0
	config = config.For(kind)
	v, err := o.viewFeatures(ctx, m, s, config, log)
	if err != nil {
		return labelFree{}, err
	}
	a, err := eval.MeasureAgreement(ctx, m.Thread, v)
	if err != nil {
		return l, err
	}
	l.LiDAR, l.Alignment, l.Uniformity = eval.Score(a.LiDAR), eval.Score(a.Alignment), eval.Score(a.Uniformity)
	l.Views = &viewing{Recipe: recipe, Images: v.N, Count: v.V}
	return l, nil
}

// recipeBesideWeights is the configuration of the run that the weights are from, or the paper's preset.
func (o options) recipeBesideWeights() string {
	name := filepath.Join(filepath.Dir(o.Model.Weights), runlog.ConfigFile)
	if _, err := os.Stat(name); o.Model.Weights == "" || errors.Is(err, fs.ErrNotExist) {
		return "paper"
	}
	return name
}

// recipeOf is how a preset, or a run by its configuration, makes views.
func recipeOf(name string) (views.Config, error) {
	if slices.Contains(views.Presets(), name) {
		return views.Preset(name)
	}
	run, err := config.Load(name)
	return run.ViewsConfig(), err
}

// viewFeatures embeds views of images that the seed draws.
func (o options) viewFeatures(ctx context.Context, m *vision.Model, s source, c views.Config, log io.Writer) (eval.ViewFeatures, error) {
	t, err := views.New(c, views.Kind{Channels: len(m.Mean), Deep: s.deep}, o.Seed)
	if err != nil {
		return eval.ViewFeatures{}, fmt.Errorf("--views: %w", err)
	}
	index := rng.New(o.Seed, rng.Sample, 0, 0).Perm(s.Len())
	index = index[:min(o.ViewImages, len(index))]
	slices.Sort(index)
	s.bar = progress.New(log, progress.Options{Total: len(index), Unit: "image", Item: "images' views", Every: 10 * time.Second})
	s.done = new(atomic.Int64)
	features, _, err := o.features(m)
	if err != nil {
		return eval.ViewFeatures{}, err
	}
	f, err := eval.ExtractViews(ctx, m.Thread, features, images.Subset{Source: s, Index: index}, t, o.Model.Extract(m))
	s.bar.Finish()
	if err != nil {
		return f, fmt.Errorf("--%s: %w", s.flag, err)
	}
	return f, nil
}

func (l labelFree) write(w io.Writer) error {
	number := func(v eval.Score) string {
		if math.IsNaN(float64(v)) {
			return "does not exist"
		}
		return fmt.Sprintf("%.4g", float64(v))
	}
	_, err := fmt.Fprintf(w, `without labels, of %d whole images
  RankMe               %s
  participation ratio  %s
  α-ReQ                %s (eigenvalues %d to %d)
  SIGReg               %s (a Gaussian's: %.4g; in sets of %d)
`, l.Images, number(l.RankMe), number(l.Participation), number(l.Alpha), l.AlphaFrom, l.AlphaTo, number(l.SIGReg), l.Expected, l.SetSize)
	if err != nil || l.Views == nil {
		return err
	}
	_, err = fmt.Fprintf(w, `and of %d views of %d images (%s)
  LiDAR                %s
  alignment            %s
  uniformity           %s
`, l.Views.Count, l.Views.Images, l.Views.Recipe, number(l.LiDAR), number(l.Alignment), number(l.Uniformity))
	return err
}
