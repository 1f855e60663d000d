package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/gojepa/gojepa/internal/atomicfile"
	"github.com/gojepa/gojepa/lejepa"
	"github.com/gojepa/gojepa/text"
	"github.com/gojepa/gojepa/text/augment"
	"github.com/gojepa/gojepa/text/captions"
	"github.com/gojepa/gojepa/text/tokenize"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/train/runlog"
	"github.com/gojepa/gojepa/vision/images"
	"github.com/gojepa/gojepa/vision/views"
)

// texts are the captions of a run's images, and what views are made of them.
type texts struct {
	source    images.Captioned
	tokenizer *tokenize.Tokenizer
	share     float64 // of the images, about, that have a caption
}

// captioned is what a batch has besides its crops: which of its images have a caption, and the captions' views.
type captioned struct {
	captions.Batch
	written []captions.Caption // of each image, as they are
	bad     []captions.Bad
}

// textSeed keeps initial weights of the captions' encoder and projector from being those of the images'.
const textSeed = 1 << 62

// openTexts reads the tokenizer: the one that a run in the folder out was made with, or else the one that the configuration names.
func openTexts(cfg config.Config, out string) (*tokenize.Tokenizer, error) {
	file := filepath.Join(out, tokenizerFile)
	if _, err := os.Stat(file); err != nil {
		file = cfg.Text.Tokenizer
	}
	t, err := tokenize.Open(file)
	if err != nil {
		return nil, fmt.Errorf("--tokenizer: %w", err)
	}
	if n, known := cfg.Text.MaxTokens.Get(); known && n <= t.Around() {
		return nil, fmt.Errorf("text.max_tokens: %d, expected more than the %d special tokens that %s puts around a text", n, t.Around(), file)
	}
	return t, nil
}

// beginText gives a configuration that begins with a file's weights of captions the model and the sizes of the file's encoder, whose
// vocabulary has to be the tokenizer's.
func beginText(cfg config.Config, t *tokenize.Tokenizer) (config.Config, error) {
	c := &cfg.Text
	if c.Init == "" {
		return cfg, nil
	}
	spec, err := text.Inspect(c.Init, initSpec(*c))
	if err != nil {
		return cfg, fmt.Errorf("--text-init: %w", err)
	}
	if err := spec.CheckVocabulary(t.Size()); err != nil {
		return cfg, fmt.Errorf("--text-init %s, --tokenizer %s: %w", c.Init, c.Tokenizer, err)
	}
	if n, known := c.MaxTokens.Get(); !known && spec.MaxTokens < config.AutoTokens {
		c.MaxTokens = config.Of(spec.MaxTokens)
	} else if known && n > spec.MaxTokens {
		return cfg, fmt.Errorf("text.max_tokens: %d, expected %d at most, the longest text that %s takes", n, spec.MaxTokens, c.Init)
	}
	c.Name, c.Pool = spec.Name, spec.Pool
	c.Width, c.Depth, c.Heads = config.Of(spec.Width), config.Of(spec.Depth), config.Of(spec.Heads)
	return cfg, nil
}

// initSpec is what a configuration says of the encoder of captions, with 0 for what it leaves open.
func initSpec(c config.Text) text.Spec {
	open := func(s string) string {
		if s == "auto" {
			return ""
		}
		return s
	}
	return text.Spec{Name: open(c.Name), Width: c.Width.Or(0), Depth: c.Depth.Or(0), Heads: c.Heads.Or(0), DropPath: c.DropPath, Pool: open(c.Pool)}
}

// prepareTexts looks for the captions of the run's images.
func (r *run) prepareTexts(ctx context.Context, t *tokenize.Tokenizer) error {
	src, ok := r.data.train.(images.Captioned)
	if !ok {
		return fmt.Errorf("--tokenizer: %s is no images.Captioned: expected a source with captions", r.data.name)
	}
	share, err := captionShare(ctx, src)
	if err != nil {
		return err
	}
	if share == 0 {
		column := "--text-column names their column"
		if c := r.cfg.Data.CaptionColumn; c != "" {
			column = fmt.Sprintf("--text-column is %s", c)
		}
		return fmt.Errorf("--tokenizer: none of the %d images of %s has a caption in UTF-8; captions come from a list (.csv), Parquet files or shards, and %s", src.Len(), r.data.name, column)
	}
	r.texts = &texts{source: src, tokenizer: t, share: share}
	return nil
}

// lookedForCaptions is how many images are looked at to learn how many have a caption. All are, if none of those has one.
const lookedForCaptions = 1000

// captionShare is the share of a source's images that have a caption, about; it is 0 if no single one has.
func captionShare(ctx context.Context, src images.Captioned) (float64, error) {
	n := src.Len()
	looked := images.Evenly(lookedForCaptions, n)
	found := 0
	for _, i := range looked {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if usableCaption(src, i) != "" {
			found++
		}
	}
	if found > 0 {
		return float64(found) / float64(len(looked)), nil
	}
	for i := range n {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if usableCaption(src, i) != "" {
			return 1 / float64(n), nil
		}
	}
	return 0, nil
}

// captionOf is an image's caption, "" if it has none. A reader that panics has met a broken one.
func captionOf(src images.Captioned, i int) (s string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("reading it panicked: %v", p)
		}
	}()
	s, _ = src.Caption(i)
	return s, nil
}

// usableCaption is an image's caption if views can be made of it, and else "".
func usableCaption(src images.Captioned, i int) string {
	s, err := captionOf(src, i)
	if err != nil || strings.TrimSpace(s) == "" || !utf8.ValidString(s) {
		return ""
	}
	return s
}

// beside makes views of the captions of batches, in random streams that seed names.
func (t *texts) beside(c config.Text, seed uint64) func(*views.Batch) any {
	m := captions.Maker{Tokenizer: t.tokenizer, Augment: c.Augment(), Count: c.Views, Max: c.MaxTokens.Or(0), Seed: seed}
	return func(b *views.Batch) any {
		all := captioned{written: make([]captions.Caption, b.Rows())}
		var unread []captions.Bad
		for i, sample := range b.Samples {
			s, err := captionOf(t.source, sample)
			if err != nil {
				unread = append(unread, captions.Bad{At: i, Err: err})
			}
			all.written[i] = captions.Caption{Sample: uint64(sample), Text: s}
		}
		all.Batch, all.bad = m.Views(all.written, uint64(b.Epoch))
		all.bad = append(all.bad, unread...)
		return all
	}
}

// shownText is as much of a view as the report shows, in characters.
const shownText = 400

// views are the texts of an image's views in an epoch, as the report shows them.
func (t *texts) views(c config.Text, seed uint64, epoch, sample int) (all []string) {
	s := usableCaption(t.source, sample)
	if s == "" {
		return nil
	}
	for v := range c.Views {
		view := []rune(c.Augment().View(s, augment.Key{Seed: seed, Epoch: uint64(epoch), Sample: uint64(sample), View: uint16(v)}))
		if len(view) > shownText {
			view = append(view[:shownText], '…')
		}
		all = append(all, string(view))
	}
	return all
}

// textsOf are the views of a batch's captions; none of it where a run has no captions. A single text is left out, as the projector's
// BatchNorm has no statistics of one row.
func textsOf(b *views.Batch) captions.Batch {
	t, ok := b.Beside.(captioned)
	if !ok || t.Rows() < 2 {
		return captions.Batch{}
	}
	return t.Batch
}

// textKind are the views of a batch's captions, which are moved to the device when they are asked for.
func textKind(b captions.Batch) lejepa.Kind {
	if b.Rows() == 0 {
		return lejepa.Kind{}
	}
	ids := func(s *torch.Scope, from, to int64) torch.Tensor {
		ids, t := b.Padded(int(from), int(to))
		return s.FromInt64(ids, to-from, int64(t))
	}
	return lejepa.Kind{Crops: []lejepa.Crops{{Views: int64(b.Count), Images: ids}}, N: int64(len(b.Samples))}
}

// textLoss is what a loss has of captions alone; nothing where there are none.
func textLoss(l lejepa.Loss) []torch.Tensor {
	if len(l.Kinds) < 2 {
		return nil
	}
	return []torch.Tensor{l.Kinds[1].Prediction, l.Kinds[1].SIGReg}
}

// textFigures are those of a step's captions; values are what textLoss has of them.
func textFigures(b captions.Batch, values []float64) *runlog.Texts {
	t := &runlog.Texts{Captions: len(b.Samples), Prediction: math.NaN(), SIGReg: math.NaN()}
	if len(values) == 2 {
		t.Prediction, t.SIGReg = values[0], values[1]
	}
	return t
}

// badTexts takes note of the captions of a batch that are left out.
func (r *run) badTexts(b *views.Batch) {
	t, _ := b.Beside.(captioned)
	for _, bad := range t.bad {
		name := b.Name(bad.At)
		if _, known := r.at.BadTexts[name]; !known {
			r.printf("left out the caption of %s: %v\n", name, bad.Err)
		}
		if r.at.BadTexts == nil {
			r.at.BadTexts = map[string]string{}
		}
		r.at.BadTexts[name] = bad.Err.Error()
	}
}

// newText makes encoder and projector of captions with their initial weights, or, for a checkpoint that has the weights, as they were made.
func (r *run) newText(s *torch.Scope, projector lejepa.ProjectorConfig, from *saved) (*lejepa.Model, error) {
	c := r.cfg.Text
	var encoder *text.Encoder
	var err error
	switch {
	case from != nil:
		var spec text.Spec
		if spec, err = text.SpecOf(from.file.Metadata()); err != nil {
			return nil, fmt.Errorf("checkpoint %s: %w", from.path, err)
		}
		encoder, err = text.New(s, spec, r.cfg.Seed^textSeed, torch.Float32)
	case c.Init != "":
		if encoder, err = text.Load(s, c.Init, initSpec(c)); err != nil {
			return nil, fmt.Errorf("--text-init: %w", err)
		}
	default:
		spec := initSpec(c)
		spec.Vocab, spec.MaxTokens = r.texts.tokenizer.Size(), c.MaxTokens.Or(0)
		encoder, err = text.New(s, spec, r.cfg.Seed^textSeed, torch.Float32)
	}
	if err != nil {
		return nil, fmt.Errorf("--text-model: %w", err)
	}
	if c.LRScale != 1 {
		for _, p := range encoder.Params().Trained() {
			p.LRScale = c.LRScale
		}
	}
	return &lejepa.Model{Encoder: encoder, Projector: lejepa.NewProjector(s, encoder.Dim(), projector, r.cfg.Seed^textSeed^projectorSeed, torch.Float32)}, nil
}

// textEncoder is the encoder of captions, nil without.
func (r *run) textEncoder() *text.Encoder {
	if r.text == nil {
		return nil
	}
	return r.text.Encoder.(*text.Encoder)
}

// keepTokenizer copies the run's tokenizer into its folder, where a resumed run, and who uses its encoder, finds it.
func (r *run) keepTokenizer() error {
	if r.texts == nil {
		return nil
	}
	return keepCopy(r.cfg.Text.Tokenizer, filepath.Join(r.cfg.Out, tokenizerFile), "--tokenizer")
}

// keepCopy copies a file that a run begins with into its folder, unless a copy is there.
func keepCopy(file, kept, flag string) error {
	if _, err := os.Stat(kept); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	defer f.Close()
	if err := atomicfile.Write(kept, func(w io.Writer) error {
		_, err := io.Copy(w, f)
		return err
	}); err != nil {
		return fmt.Errorf("keeping a copy of %s: %w", file, err)
	}
	return nil
}

// saveText writes what a run on captions leaves besides: their encoder, under Hugging Face's names, and both projectors, as
// projections of images and of texts are compared.
func (r *run) saveText(s *torch.Scope) error {
	e := r.textEncoder()
	if e == nil {
		return nil
	}
	spec := e.Spec()
	spec.DropPath = 0 // which who goes on from the weights chooses
	var failed error
	for _, name := range []string{textEncoderFile, textEncoderPTFile} {
		failed = errors.Join(failed, e.Params().Save(s, filepath.Join(r.cfg.Out, name), text.Metadata(spec)))
	}
	return errors.Join(failed, lejepa.SaveProjectors(s, filepath.Join(r.cfg.Out, projectorsFile),
		map[string]*lejepa.Projector{"image": r.model.Projector, "text": r.text.Projector}))
}

// describeTexts says which captions there are, and what they are encoded by.
func (r *run) describeTexts() string {
	e, c := r.textEncoder(), r.cfg.Text
	count := fmt.Sprintf("%.0f %% of the images have one", 100*r.texts.share)
	if r.texts.share < 0.01 {
		count = "fewer than 1 % of the images have one"
	}
	return fmt.Sprintf("captions: %s; %s, %.1f M parameters, %s tokens, views %d × %d tokens at most", count,
		e.Spec().Name, float64(e.Params().Count())/1e6, thousands(r.texts.tokenizer.Size()), c.Views, c.MaxTokens.Or(0))
}
