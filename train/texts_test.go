package train

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/lejepa"
	"github.com/gojepa/gojepa/text"
	"github.com/gojepa/gojepa/text/tokenize"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
	"github.com/gojepa/gojepa/torch/torchtest/simcuda"
	"github.com/gojepa/gojepa/torch/weights"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/train/runlog"
	"github.com/gojepa/gojepa/vision/views"
)

// album is a folder of striped images with a list of their captions, of which every fourth is missing.
func album(t *testing.T, n int, caption func(i int, text string) string) (list string) {
	dir := t.TempDir()
	src := &stripes{n: n}
	var rows bytes.Buffer
	rows.WriteString("file,report,label\n")
	for i := range n {
		m, err := src.Image(context.Background(), i)
		require.NoError(t, err)
		picture := &image.Gray{Pix: m.Pix, Stride: 16, Rect: image.Rect(0, 0, 16, 16)}
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%03d.png", i)))
		require.NoError(t, err)
		require.NoError(t, png.Encode(f, picture))
		require.NoError(t, f.Close())
		text := []string{"The stripes lie flat. They run from left to right.", "Stripes that stand upright. Nothing else."}[i%2]
		if i%4 == 3 {
			text = ""
		}
		if caption != nil {
			text = caption(i, text)
		}
		fmt.Fprintf(&rows, "%03d.png,%q,%d\n", i, text, i%2)
	}
	list = filepath.Join(dir, "list.csv")
	require.NoError(t, os.WriteFile(list, rows.Bytes(), 0o644))
	return list
}

// vocabulary is a tokenizer of the album's words.
func vocabulary(t *testing.T) string {
	words := []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", ".", "the", "stripes", "lie", "flat", "they", "run", "from", "left", "to", "right", "that",
		"stand", "upright", "nothing", "else"}
	vocab := map[string]int{}
	for i, w := range words {
		vocab[w] = i
	}
	special := func(id int) map[string]any {
		return map[string]any{"id": id, "content": words[id], "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}
	}
	data, err := json.Marshal(map[string]any{
		"version": "1.0", "added_tokens": []any{special(0), special(1), special(2), special(3)},
		"normalizer":     map[string]any{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": nil, "lowercase": true},
		"pre_tokenizer":  map[string]any{"type": "BertPreTokenizer"},
		"post_processor": map[string]any{"type": "BertProcessing", "sep": []any{"[SEP]", 3}, "cls": []any{"[CLS]", 2}},
		"model":          map[string]any{"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocab},
	})
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "words.json")
	require.NoError(t, os.WriteFile(file, data, 0o644))
	return file
}

// withCaptions is small on an album.
func withCaptions(t *testing.T, list, tokenizer string) config.Config {
	c := small(t)
	c.Data.Path, c.Data.CaptionColumn = list, "report"
	c.Text.Tokenizer, c.Text.MaxTokens = tokenizer, config.Of(16)
	c.Text.Width, c.Text.Depth, c.Text.Heads = config.Of(16), config.Of(2), config.Of(2)
	c.Text.Views, c.Text.Sentences, c.Text.DropWords, c.Text.DropPath = 2, [2]float64{0.5, 1}, 0.1, 0.1
	return c
}

// TestCaptions trains on images with captions, looks at all that the run leaves, and at what the other formats of the record have.
func TestCaptions(t *testing.T) {
	c := withCaptions(t, album(t, 40, nil), vocabulary(t))
	c.Data.Labels, c.Log = true, []string{runlog.CSV}
	c.Views.Jitter.P, c.Views.Solarize.P = 0, config.Of(0.0)
	c.Schedule.BatchSize, c.Schedule.Steps, c.Optim.LR = config.Of(16), config.Of(40), config.Of(5e-3)
	c.Loss.Lambda = 0.05
	var said bytes.Buffer
	res, err := Run(context.Background(), c, WithOutput(&said))
	require.NoError(t, err)
	assert.Contains(t, said.String(), "captions: 75 % of the images have one; caption_tiny")

	log, err := runlog.Read(filepath.Join(c.Out, metricsFile))
	require.NoError(t, err)
	require.Len(t, log.Steps, 40)
	mean := func(steps []runlog.Step, of func(runlog.Step) float64) (sum float64) {
		for _, s := range steps {
			sum += of(s) / float64(len(steps))
		}
		return sum
	}
	loss := func(s runlog.Step) float64 { return s.Loss }
	texts := func(s runlog.Step) float64 { return s.Texts.Prediction }
	captions := mean(log.Steps, func(s runlog.Step) float64 { return float64(s.Texts.Captions) })
	assert.InDelta(t, 12, captions, 1.5, "three quarters of a batch")
	assert.Less(t, mean(log.Steps[30:], loss), 0.9*mean(log.Steps[:10], loss), "the loss falls")
	assert.Less(t, mean(log.Steps[30:], texts), 0.9*mean(log.Steps[:10], texts), "captions are predicted better")
	assert.Positive(t, log.Steps[0].Texts.SIGReg)
	rows, err := os.ReadFile(filepath.Join(c.Out, "metrics.csv"))
	require.NoError(t, err)
	assert.Contains(t, string(rows), "captions,text_prediction,text_sigreg")

	saved := checkpointOf(t, c.Out)
	th := torchtest.Thread(t)
	require.NoError(t, th.Do(context.Background(), func(s *torch.Scope) {
		tok, err := tokenize.Open(filepath.Join(c.Out, "tokenizer.json"))
		require.NoError(t, err)
		for _, name := range []string{"text_encoder.safetensors", "text_encoder.pt"} {
			e, err := text.Load(s, filepath.Join(c.Out, name), text.Spec{})
			require.NoError(t, err, name)
			defer e.Close()
			assert.Equal(t, tok.Size(), e.Spec().Vocab)
			assert.Equal(t, 16, e.Spec().MaxTokens)
			for _, p := range e.Params().All() {
				require.Equal(t, saved["text_encoder."+p.Name], p.Value.Bytes(), p.Name)
			}
		}
		projectors, err := lejepa.LoadProjectors(s, filepath.Join(c.Out, "projectors.safetensors"))
		require.NoError(t, err)
		require.Len(t, projectors, 2)
		for kind, prefix := range map[string]string{"image": "projector.", "text": "text_projector."} {
			for _, p := range projectors[kind].Params().All() {
				require.Equal(t, saved[prefix+p.Name], p.Value.Bytes(), p.Name)
			}
			projectors[kind].Params().Close()
		}
	}))
	page, err := os.ReadFile(filepath.Join(c.Out, "report.html"))
	require.NoError(t, err)
	assert.Contains(t, string(page), `<div class="texts"><p>`)
	assert.Contains(t, string(page), "about 75.0 %")
	assert.Empty(t, res.BadTexts)
	assert.NoFileExists(t, filepath.Join(c.Out, "bad_captions.txt"))
	assert.Greater(t, res.Values["knn"], 0.9)
}

// TestCaptionsResume interrupts runs on captions and goes on with them: all bits are those of one that was not interrupted. The
// tokenizer may be gone meanwhile, as the run has a copy.
func TestCaptionsResume(t *testing.T) {
	list := album(t, 40, nil)
	for name, change := range map[string]func(*config.Config){
		"plain":         func(c *config.Config) { c.Optim.EMA = 0.9 },
		"bf16, muon":    func(c *config.Config) { c.Precision, c.Optim.Name = "bf16", config.Muon },
		"in pieces":     func(c *config.Config) { c.Schedule.MicroBatch = config.Of(3) },
		"schedule-free": func(c *config.Config) { c.Optim.Name, c.Text.LRScale = config.ScheduleFree, 0.5 },
	} {
		t.Run(name, func(t *testing.T) {
			tokenizer := vocabulary(t)
			whole := withCaptions(t, list, tokenizer)
			change(&whole)
			_, err := Run(context.Background(), whole)
			require.NoError(t, err)

			c := withCaptions(t, list, tokenizer)
			change(&c)
			c.Workers = config.Of(1)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			encoder := &cancelling{after: 7, cancel: cancel}
			_, err = Run(ctx, c, WithEncoder(encoder.make(t)))
			require.ErrorAs(t, err, new(*Interrupted))
			require.NoError(t, os.Remove(tokenizer))
			_, err = Run(context.Background(), c)
			require.NoError(t, err)
			sameRun(t, whole.Out, c.Out)
		})
	}
}

// TestCaptionsReplay does a step of a run on captions again, and that of a folder of evidence.
func TestCaptionsReplay(t *testing.T) {
	c := withCaptions(t, album(t, 40, nil), vocabulary(t))
	c.CheckpointEvery = config.Every{Steps: 2}
	_, err := Run(context.Background(), c)
	require.NoError(t, err)
	for _, step := range []int{1, 4, 6} {
		res, err := Replay(context.Background(), ReplayConfig{Run: c.Out, Step: step})
		require.NoError(t, err)
		assert.True(t, res.Identical(), "step %d: %v", step, res.Figures)
		assert.Len(t, res.Figures, 11)
		var info batchInfo
		data, err := os.ReadFile(filepath.Join(res.Out, batchFile))
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(data, &info))
		require.Len(t, info.Captions, 8)
		f, err := weights.Open(filepath.Join(res.Out, viewsFile))
		require.NoError(t, err)
		ids, ok := f.Lookup("texts")
		require.True(t, ok)
		there := 0
		for _, caption := range info.Captions {
			if caption != "" {
				there++
			}
		}
		assert.Equal(t, []int64{2, int64(there)}, ids.Shape[:2])
		require.NoError(t, f.Close())
	}

	bad := withCaptions(t, c.Data.Path, c.Text.Tokenizer)
	_, err = Run(context.Background(), bad, burst(bad, func(_, step uint64) bool { return step == 2 }))
	var d *DivergedError
	require.ErrorAs(t, err, &d)
	require.FileExists(t, filepath.Join(d.Dir, "tokenizer.json"))
	res, err := Replay(context.Background(), ReplayConfig{Run: d.Dir, Step: 3}, burst(bad, func(_, step uint64) bool { return step == 2 }))
	require.NoError(t, err)
	assert.True(t, res.Diverged && res.Identical(), "%v", res.Figures)
}

// TestCaptionsInPieces has the figures of whole batches.
func TestCaptionsInPieces(t *testing.T) {
	list, tokenizer := album(t, 40, nil), vocabulary(t)
	var want []float64
	for i, change := range []func(*config.Config){
		func(*config.Config) {},
		func(c *config.Config) { c.Schedule.MicroBatch = config.Of(3) },
		func(c *config.Config) { c.Schedule.Checkpoint = true },
		func(c *config.Config) { c.Schedule.MicroBatch, c.Schedule.Checkpoint = config.Of(2), true },
	} {
		c := withCaptions(t, list, tokenizer)
		c.Schedule.Steps = config.Of(3)
		change(&c)
		r, err := open(context.Background(), c, nil)
		require.NoError(t, err)
		require.NoError(t, r.train(context.Background()))
		r.close()
		var got []float64
		for _, s := range recordOf(t, c.Out).Steps {
			got = append(got, s.Loss, s.GradNorm, s.Texts.Prediction, s.Texts.SIGReg)
		}
		if i == 0 {
			want = got
		}
		assert.InDeltaSlice(t, want, got, 1e-3, i)
	}
}

// TestFewCaptions: batches of no caption, of one, and captions that are not UTF-8, which are left out and listed.
func TestFewCaptions(t *testing.T) {
	list := album(t, 16, func(i int, text string) string {
		switch i {
		case 5:
			return text
		case 9:
			return "bad \xff bytes"
		}
		return ""
	})
	// %q has written it as an escape.
	data, err := os.ReadFile(list)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(list, bytes.ReplaceAll(data, []byte(`\xff`), []byte{0xff}), 0o644))
	for _, count := range []int{1, 2} {
		c := withCaptions(t, list, vocabulary(t))
		c.Text.Views = count
		c.Schedule.Steps = config.Of(4)
		var said bytes.Buffer
		res, err := Run(context.Background(), c, WithOutput(&said))
		require.NoError(t, err)
		require.True(t, res.Last.Finite())
		assert.Equal(t, 1, strings.Count(said.String(), "left out the caption of 009.png: text is not UTF-8"))
		require.Len(t, res.BadTexts, 1)
		listed, err := os.ReadFile(filepath.Join(c.Out, "bad_captions.txt"))
		require.NoError(t, err)
		assert.Contains(t, string(listed), "009.png\ttext is not UTF-8 at byte 4")
		seen := map[int]bool{}
		for _, s := range recordOf(t, c.Out).Steps {
			seen[s.Texts.Captions] = true
		}
		assert.Equal(t, map[int]bool{0: true, count - 1: true}, seen, "a single text has no batch's statistics")
		for name, data := range checkpointOf(t, c.Out) {
			if strings.HasSuffix(name, "running_var") {
				for i := 0; i < len(data); i += 4 {
					v := float64(math.Float32frombits(binary.LittleEndian.Uint32(data[i:])))
					require.False(t, math.IsNaN(v) || math.IsInf(v, 0), name)
				}
			}
		}
	}
}

// TestCaptionsBegin begins with the weights of a run's encoder of captions, and names what does not fit.
func TestCaptionsBegin(t *testing.T) {
	list, tokenizer := album(t, 24, nil), vocabulary(t)
	first := withCaptions(t, list, tokenizer)
	first.Schedule.Steps, first.Optim.LR = config.Of(1), config.Of(0.0)
	_, err := Run(context.Background(), first)
	require.NoError(t, err)
	c := withCaptions(t, list, tokenizer)
	c.Text = config.Default().Text
	c.Text.Tokenizer, c.Text.Init = tokenizer, filepath.Join(first.Out, "text_encoder.safetensors")
	c.Seed, c.Schedule.Steps, c.Optim.LR = 7, config.Of(1), config.Of(0.0)
	res, err := Run(context.Background(), c)
	require.NoError(t, err)
	assert.Equal(t, config.Of(16), res.Config.Text.Width)
	assert.Equal(t, config.Of(16), res.Config.Text.MaxTokens, "what the file takes")
	was, is := checkpointOf(t, first.Out), checkpointOf(t, c.Out)
	for name := range was {
		if strings.HasPrefix(name, "text_encoder.") {
			require.Equal(t, was[name], is[name], name)
		}
	}
	assert.NotEqual(t, was["text_projector.0.weight"], is["text_projector.0.weight"])
	require.NoError(t, os.Remove(c.Text.Init))
	c.Schedule.Steps = config.Of(2)
	_, err = Run(context.Background(), c)
	require.NoError(t, err, "what goes on has its weights in the checkpoint")
}

// TestCaptionMistakes names what is wrong.
func TestCaptionMistakes(t *testing.T) {
	list, tokenizer := album(t, 16, nil), vocabulary(t)
	long := filepath.Join("..", "text", "tokenize", "testdata", "bert_uncased.json")
	first := withCaptions(t, list, tokenizer)
	first.Schedule.Steps = config.Of(0)
	_, err := Run(context.Background(), first)
	require.NoError(t, err)
	for want, change := range map[string]func(*config.Config){
		"text.tokenizer: \"\", expected a tokenizer.json (--tokenizer) with data.caption_column (--text-column)": func(c *config.Config) { c.Text = config.Default().Text },
		`caption column "caption"`:    func(c *config.Config) { c.Data.CaptionColumn = "caption" },
		"a folder of images has none": func(c *config.Config) { c.Data.Path = filepath.Dir(list) },
		"--tokenizer: none of the 16 images": func(c *config.Config) {
			c.Data.Path = filepath.Dir(list)
			c.Data.CaptionColumn = ""
		},
		"gone.json":      func(c *config.Config) { c.Text.Tokenizer = "gone.json" },
		"list.csv":       func(c *config.Config) { c.Text.Tokenizer = list },
		"--text-model: ": func(c *config.Config) { c.Text.Name = "bart_base" },
		"expected the same vocabulary": func(c *config.Config) {
			c.Text = config.Default().Text
			c.Text.Tokenizer, c.Text.Init = long, filepath.Join(first.Out, "text_encoder.safetensors")
		},
		"text.max_tokens: 17, expected 16 at most": func(c *config.Config) {
			c.Text.Init, c.Text.MaxTokens = filepath.Join(first.Out, "text_encoder.safetensors"), config.Of(17)
		},
		"text.max_tokens: 2, expected more than the 2 special tokens": func(c *config.Config) { c.Text.MaxTokens = config.Of(2) },
	} {
		c := withCaptions(t, list, tokenizer)
		change(&c)
		_, err := Run(context.Background(), c)
		assert.ErrorContains(t, err, want)
	}
	_, err = Run(context.Background(), withCaptions(t, list, tokenizer), WithSource(&stripes{n: 40}))
	assert.ErrorContains(t, err, "expected a source with captions")
}

// TestDeviceCaptions takes a step on captions on the device as on the CPU: it waits once.
func TestDeviceCaptions(t *testing.T) {
	onDevice(t)
	list, tokenizer := album(t, 16, nil), vocabulary(t)
	for _, micro := range []int{0, 3} {
		var figures [2][]float64
		for i, device := range []string{"cpu", "cuda:0"} {
			c := withCaptions(t, list, tokenizer)
			c.Device = device
			if micro > 0 {
				c.Schedule.MicroBatch = config.Of(micro)
			}
			r, err := open(context.Background(), c, nil)
			require.NoError(t, err)
			defer r.close()
			loader, err := r.loader(context.Background())
			require.NoError(t, err)
			defer loader.Close()
			for step := range 2 {
				var batch *views.Batch
				batch, err = loader.Next(context.Background())
				require.NoError(t, err)
				waits := simcuda.Counted(func() {
					f, err := r.step(context.Background(), step, batch)
					require.NoError(t, err)
					figures[i] = append(figures[i], f.Loss, f.gradNorm, f.texts.Prediction, f.texts.SIGReg)
				})
				if device != "cpu" && step == 1 && os.Getenv(torchtest.DeviceVariable) == "simulated" {
					assert.Equal(t, map[string]int{"copy to the host": 1}, waits)
				}
			}
		}
		for k, want := range figures[0] {
			assert.InEpsilon(t, want, figures[1][k], 2e-4, "figure %d", k)
		}
	}
}
