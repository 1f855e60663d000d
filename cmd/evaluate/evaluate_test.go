package main

import (
	"bytes"
	"context"
	"encoding/json"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/vision"
	"github.com/gojepa/gojepa/vision/images"
)

func TestMain(m *testing.M) { torchtest.Main(m) }

// savedEncoder writes a small untrained ResNet for grey images of 16×16 pixels, as a run would.
func savedEncoder(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "encoder.safetensors")
	torchtest.Do(t, func(s *torch.Scope) {
		e, err := vision.New(s, vision.Spec{Name: "resnet18", ImageSize: 16, Channels: 1, Width: 8, Depth: 1}, 1, torch.Float32)
		require.NoError(t, err)
		defer e.Close()
		require.NoError(t, e.Params().Save(s, path, vision.Metadata(e.Spec(), 16, []float64{0.2}, []float64{0.4})))
	})
	return path
}

// stripes writes n images of a class: stripes that lie, stand or are not there.
func stripes(t *testing.T, dir, class string, n int) {
	dir = filepath.Join(dir, class)
	require.NoError(t, os.MkdirAll(dir, 0o755))
	for i := range n {
		m := image.NewGray(image.Rect(0, 0, 20, 16))
		for p := range m.Pix {
			x, y := p%20, p/20
			if class == "lying" && (y+i)%4 < 2 || class == "standing" && (x+i)%4 < 2 {
				m.Pix[p] = 200
			}
			m.Pix[p] += uint8((p*7 + i*13) % 32)
		}
		f, err := os.Create(filepath.Join(dir, string(rune('a'+i))+".png"))
		require.NoError(t, err)
		require.NoError(t, png.Encode(f, m))
		require.NoError(t, f.Close())
	}
}

// folders are 10 images of three classes to learn from, one of them broken and one of no class, and to be tested on 4 of
// one class and 6 of another.
func folders(t *testing.T) (train, test string) {
	train, test = t.TempDir(), t.TempDir()
	for _, class := range []string{"blank", "lying", "standing"} {
		stripes(t, train, class, 10)
	}
	stripes(t, train, "", 1)
	require.NoError(t, os.WriteFile(filepath.Join(train, "lying", "b.png"), []byte("no image"), 0o644))
	stripes(t, test, "standing", 6)
	stripes(t, test, "blank", 4)
	return train, test
}

// evaluate runs the command line.
func evaluate(line ...string) (code int, out, log string) {
	var stdout, stderr bytes.Buffer
	o := defaults()
	code = command(&o).Main(line, &stdout, &stderr, func(ctx context.Context, _ []string) error {
		return run(ctx, o, &stdout, &stderr)
	})
	return code, stdout.String(), stderr.String()
}

// TestFlagsOfImages: the decoder of JPEG and the stretch are looked at before anything is read.
func TestFlagsOfImages(t *testing.T) {
	o := defaults()
	_, err := command(&o).Parse([]string{"--weights", "w.pt", "--jpeg", "go"})
	require.NoError(t, err)
	opts, err := o.Collection.Options()
	require.NoError(t, err)
	assert.Equal(t, images.JPEGGo, opts.JPEG)
	for flag, value := range map[string]string{"--jpeg": "pillow", "--stretch": "9:1"} {
		code, _, log := evaluate("--weights", "w.pt", flag, value)
		assert.Equal(t, 2, code)
		assert.Contains(t, log, flag)
	}
}

// TestList: labels of a list's column are as good as folders' names.
func TestList(t *testing.T) {
	train, test := folders(t)
	weights := savedEncoder(t)
	code, byFolder, log := evaluate("--weights", weights, "--train", train, "--test", test, "--k", "3", "--json")
	require.Zero(t, code, log)
	list := func(dir string) string {
		text := "file,species\n"
		for _, class := range []string{"blank", "lying", "standing"} {
			files, err := filepath.Glob(filepath.Join(dir, class, "*.png"))
			require.NoError(t, err)
			for _, f := range files {
				text += f + "," + class + "\n"
			}
		}
		path := filepath.Join(t.TempDir(), "list.csv")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		return path
	}
	code, byList, log := evaluate("--weights", weights, "--train", list(train), "--test", list(test), "--label-column", "species", "--k", "3", "--json")
	require.Zero(t, code, log)
	var a, b struct{ Scores []any }
	require.NoError(t, json.Unmarshal([]byte(byFolder), &a))
	require.NoError(t, json.Unmarshal([]byte(byList), &b))
	require.NotEmpty(t, a.Scores)
	assert.Equal(t, a.Scores, b.Scores)
}

func TestJSON(t *testing.T) {
	train, test := folders(t)
	weights := savedEncoder(t)
	code, out, log := evaluate("--weights", weights, "--train", train, "--test", test, "--k", "3", "--pixels", "--json")
	require.Zero(t, code, log)
	assert.Contains(t, log, "left out "+filepath.Join("lying", "b.png"))
	assert.Contains(t, log, "left out 1 images of "+train+" that have no label")

	var r result
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	assert.Equal(t, weights, r.Weights)
	assert.Equal(t, "resnet18", r.Model)
	assert.Equal(t, 16, r.ImageSize)
	assert.Equal(t, &set{Path: train, Images: 31, Used: 29, Classes: []string{"blank", "lying", "standing"}}, r.Train)
	assert.Equal(t, set{Path: test, Images: 10, Used: 10, Classes: []string{"blank", "standing"}}, r.Test)
	require.Len(t, r.Scores, 2)
	for i, name := range []string{"encoder", "pixels"} {
		s := r.Scores[i]
		assert.Equal(t, name, s.Features)
		assert.Equal(t, 1., s.KNN.Top1, name)
		assert.GreaterOrEqual(t, s.Linear.Top1, 0.8, name)
		assert.GreaterOrEqual(t, s.Linear.Balanced, 0.8, name)
		assert.Equal(t, eval.Score(1), s.KNN.AUROC, name)
		assert.Equal(t, eval.Score(1), s.KNN.MAP, name)
		assert.True(t, math.IsNaN(float64(s.KNN.Top5)), "of three classes")
		assert.Equal(t, [][]int{{4, 0, 0}, {0, 0, 0}, {0, 0, 6}}, s.KNN.Confusion)
		assert.Equal(t, "none", s.Probe.Weights)
		require.Len(t, s.KNN.Classes, 3)
		assert.Equal(t, "standing", s.KNN.Classes[2].Name)
		assert.Equal(t, 6, s.KNN.Classes[2].N, "classes are matched by name")
		assert.Equal(t, "lbfgs", s.Probe.Kind)
		assert.True(t, *s.Probe.Converged)
	}
	var keys map[string]any
	require.NoError(t, json.Unmarshal([]byte(out), &keys))
	knn := keys["scores"].([]any)[0].(map[string]any)["knn"].(map[string]any)
	for _, key := range []string{"top1", "balanced", "correct", "n", "classes", "top5", "macro_f1", "auroc", "map", "confusion"} {
		assert.Contains(t, knn, key)
	}
	assert.Equal(t, 64, r.Scores[0].Dim)
	assert.Equal(t, 256, r.Scores[1].Dim)
}

func TestTable(t *testing.T) {
	train, test := folders(t)
	code, out, log := evaluate("--weights", savedEncoder(t), "--train", train, "--test", test, "--k", "3", "--probe", "adamw")
	require.Zero(t, code, log)
	assert.Equal(t, `resnet18 at 16 px: 29 images of 3 classes to learn from, 10 to be tested on

       features   linear probe       k-NN   linear, balanced   k-NN, balanced   linear, AUROC   k-NN, AUROC
   encoder (64)       100.00 %   100.00 %           100.00 %         100.00 %          1.0000        1.0000
`, out)
}

func TestShots(t *testing.T) {
	train, test := folders(t)
	weights := savedEncoder(t)
	line := []string{"--weights", weights, "--train", train, "--test", test, "--k", "3", "--shots", "2,all", "--draws", "3"}
	code, out, log := evaluate(append(line, "--json")...)
	require.Zero(t, code, log)
	var r result
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	f := r.Scores[0].FewShot
	require.Len(t, f, 2)
	assert.Equal(t, [3]int{2, 3, 6}, [3]int{f[0].Shots, f[0].Draws, f[0].N})
	assert.Equal(t, [3]int{0, 1, 29}, [3]int{f[1].Shots, f[1].Draws, f[1].N})
	assert.Len(t, f[0].Each, 3)
	assert.Greater(t, f[0].Top1.Mean, 0.5)
	code, out, log = evaluate(line...)
	require.Zero(t, code, log)
	assert.Contains(t, out, "95 % interval\n\n       features ")

	code, out, log = evaluate("--weights", weights, "--train", train, "--test", test, "--class-weights", "balanced", "--json")
	require.Zero(t, code, log)
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	assert.Equal(t, "balanced", r.Scores[0].Probe.Weights)
	code, _, log = evaluate("--weights", weights, "--class-weights", "balanced", "--probe", "adamw")
	assert.Equal(t, 2, code)
	assert.Contains(t, log, "--class-weights: balanced is for --probe lbfgs, not adamw")

	code, _, log = evaluate("--weights", weights, "--train", train, "--test", test, "--shots", "11")
	assert.Equal(t, 1, code)
	assert.Contains(t, log, "evaluate: --shots: eval: few shots: class blank has 10 training samples: expected 11 or more")
	code, _, log = evaluate("--weights", weights, "--shots", "0,x", "--draws", "0", "--shots-c", "0")
	assert.Equal(t, 2, code)
	for _, want := range []string{`--shots: "0", expected`, `--shots: "x", expected numbers from 1, or all`, "--draws: 0, expected", "--shots-c: 0, expected"} {
		assert.Contains(t, log, want)
	}
}

func TestRetrieval(t *testing.T) {
	train, test := folders(t)
	weights := savedEncoder(t)
	for _, among := range []string{"gallery", "leave-one-out"} {
		line := []string{"--weights", weights, "--train", train, "--test", test, "--k", "3", "--retrieval", among, "--recall-at", "1,4"}
		code, out, log := evaluate(append(line, "--json")...)
		require.Zero(t, code, log)
		var r result
		require.NoError(t, json.Unmarshal([]byte(out), &r))
		f := r.Scores[0].Retrieval
		require.NotNil(t, f)
		assert.Equal(t, among, f.Among)
		assert.Equal(t, 10, f.Queries)
		assert.Greater(t, float64(f.MAP), 0.8)
		assert.Equal(t, []eval.RecallAt{{K: 1, Share: 1}, {K: 4, Share: 1}}, f.Recall)
		code, out, log = evaluate(line...)
		require.Zero(t, code, log)
		assert.Contains(t, out, "retrieval of 10 test images' classes among ")
		assert.Regexp(t, `features +mAP +recall@1 +recall@4`, out)
	}
	code, _, log := evaluate("--weights", weights, "--recall-at", "0")
	assert.Equal(t, 2, code)
	assert.Contains(t, log, "--recall-at: 0, expected 1 or more")
}

// measured is a list of images of stripes, of which the column height is a number and the column marks several labels.
func measured(t *testing.T, dir string) string {
	text := "file,height,marks\n"
	for class, row := range map[string]string{"blank": "-1.5,|", "lying": "2,flat|striped", "standing": "4e0,striped|tall"} {
		stripes(t, dir, class, 8)
		files, err := filepath.Glob(filepath.Join(dir, class, "*.png"))
		require.NoError(t, err)
		for _, f := range files {
			text += f + "," + row + "\n"
		}
	}
	path := filepath.Join(t.TempDir(), "list.csv")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

func TestTargets(t *testing.T) {
	list, weights := measured(t, t.TempDir()), savedEncoder(t)
	line := []string{"--weights", weights, "--train", list, "--test", list, "--target-column"}
	code, out, log := evaluate(append(line, "height", "--json")...)
	require.Zero(t, code, log)
	var r result
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	require.Len(t, r.Regression, 1)
	assert.Empty(t, r.Scores)
	assert.Equal(t, []string{"height"}, r.Train.Classes)
	assert.Equal(t, 24, r.Regression[0].N)
	assert.Greater(t, float64(r.Regression[0].R2), 0.9)
	code, out, log = evaluate(append(line, "height")...)
	require.Zero(t, code, log)
	assert.Regexp(t, `encoder \(64\) +height +0\.9`, out)
	code, _, log = evaluate(append(line, "marks")...)
	assert.Equal(t, 1, code)
	assert.Regexp(t, `evaluate: --train: column marks of .*png is ".*", expected a number`, log)

	line = []string{"--weights", weights, "--train", list, "--test", list, "--label-column", "marks", "--multi-label", "|"}
	code, out, log = evaluate(append(line, "--json", "--pixels")...)
	require.Zero(t, code, log)
	r = result{}
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	require.Len(t, r.MultiLabel, 2)
	assert.Equal(t, []string{"flat", "striped", "tall"}, r.Test.Classes)
	assert.Equal(t, []int{8, 16, 8}, []int{r.MultiLabel[0].Labels[0].Positives, r.MultiLabel[0].Labels[1].Positives, r.MultiLabel[0].Labels[2].Positives})
	assert.Greater(t, float64(r.MultiLabel[0].MAP), 0.9)
	code, out, log = evaluate(line...)
	require.Zero(t, code, log)
	assert.Regexp(t, `features +labels +mAP`, out)

	code, _, log = evaluate("--weights", weights, "--target-column", "a", "--multi-label", "|", "--shots", "1")
	assert.Equal(t, 2, code)
	for _, want := range []string{"expected neither --multi-label", "expected --train and --test", "are for classes"} {
		assert.Contains(t, log, want)
	}
}

func TestLabelFree(t *testing.T) {
	train, test := folders(t)
	weights := savedEncoder(t)
	code, out, log := evaluate("--weights", weights, "--train", train, "--test", test, "--k", "3", "--label-free", "--view-count", "3", "--json")
	require.Zero(t, code, log)
	var r result
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	l := r.LabelFree
	require.NotNil(t, l)
	assert.Equal(t, &viewing{Recipe: "paper", Images: 10, Count: 3}, l.Views)
	assert.Equal(t, 10, l.Images)
	assert.Equal(t, 10, l.SetSize)
	assert.InDelta(t, 1.0525, l.Expected, 1e-4)
	for name, v := range map[string]eval.Score{"RankMe": l.RankMe, "participation": l.Participation, "LiDAR": l.LiDAR} {
		assert.GreaterOrEqual(t, float64(v), 1., name)
		assert.LessOrEqual(t, float64(v), 10.1, name)
	}
	assert.Greater(t, float64(l.Alpha), 0.)
	assert.Greater(t, float64(l.Alignment), 0.)
	assert.Less(t, float64(l.Uniformity), 0.)
	require.Len(t, r.Scores, 1)

	// The images of a folder without labels, with the recipe of the run beside the weights.
	c := config.Default()
	c.Views = config.PresetViews("medical")
	require.NoError(t, c.Save(filepath.Join(filepath.Dir(weights), "config.yaml")))
	code, out, log = evaluate("--weights", weights, "--test", filepath.Join(test, "standing"), "--label-free", "--view-count", "2", "--view-images", "4")
	require.Zero(t, code, log)
	assert.Contains(t, out, "resnet18 at 16 px\n\nwithout labels, of 6 whole images\n")
	assert.Contains(t, out, "of 2 views of 4 images ("+filepath.Join(filepath.Dir(weights), "config.yaml")+")\n")

	code, _, log = evaluate("--weights", weights, "--test", test, "--label-free", "--views", "nowhere.yaml")
	assert.Equal(t, 1, code)
	assert.Contains(t, log, "evaluate: --views: reading configuration: open nowhere.yaml")
	code, _, log = evaluate("--weights", weights, "--views", "paper", "--view-count", "1", "--view-images", "1")
	assert.Equal(t, 2, code)
	assert.Contains(t, log, "evaluate: --view-count: 1, expected 2 or more")
	assert.Contains(t, log, "evaluate: --view-images: 1, expected 2 or more")
	assert.Contains(t, log, "evaluate: --views: is for --label-free")
}

// TestClassTokens: the features of a ViT's last two blocks are twice as many, and a ResNet says that it has none.
func TestClassTokens(t *testing.T) {
	train, test := folders(t)
	line := []string{"--untrained", "--model", "vit_tiny_patch16_224", "--image-size", "16", "--patch-size", "4", "--width", "12", "--depth", "3", "--heads", "2",
		"--train", train, "--test", test, "--k", "3", "--channels", "1", "--class-tokens"}
	code, out, log := evaluate(append(line, "2", "--probe", "adamw", "--json")...)
	require.Zero(t, code, log)
	var r result
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	assert.Equal(t, "class tokens", r.Scores[0].Features)
	assert.Equal(t, 24, r.Scores[0].Dim)
	code, _, log = evaluate(append(line, "4")...)
	assert.Equal(t, 1, code)
	assert.Contains(t, log, "evaluate: --class-tokens: vision: class tokens of 4 blocks of vit_tiny_patch16_224: expected 1 to 3")
	code, _, log = evaluate("--weights", savedEncoder(t), "--train", train, "--test", test, "--class-tokens", "2")
	assert.Equal(t, 1, code)
	assert.Contains(t, log, "--class-tokens: vision: class tokens of resnet18: it has none")
}

func TestMistakes(t *testing.T) {
	weights := savedEncoder(t)
	train, test := folders(t)
	flat := filepath.Join(test, "blank")
	other := t.TempDir()
	stripes(t, other, "dotted", 2)
	for _, c := range []struct {
		line []string
		code int
		want []string
	}{
		{[]string{"--train", train, "--k", "0", "--temperature", "0", "--l2", "-1"}, 2, []string{
			"evaluate: --train and --test: expected both, or neither for MNIST", "evaluate: --k: 0, expected 1 or more",
			"evaluate: --temperature: 0, expected more than 0", "evaluate: --l2: -1, expected 0 or more",
			"evaluate: --weights: missing"}},
		{[]string{"--weights", "nowhere", "--train", train, "--test", test}, 1, []string{"nowhere"}},
		{[]string{"--weights", weights, "--train", train, "--test", "nowhere"}, 1,
			[]string{"evaluate: --test: images of nowhere: there is no such file or folder"}},
		{[]string{"--weights", weights, "--train", flat, "--test", test}, 1,
			[]string{"evaluate: --train: images of " + flat + ": none has a label, expected a folder for each class, or a column of labels"}},
		{[]string{"--weights", weights, "--train", train, "--test", other}, 1,
			[]string{"is of class dotted, which the training set does not have"}},
		{[]string{"--weights", weights, "--train", other, "--test", test}, 1,
			[]string{"all 2 samples are of class dotted: expected two classes or more"}},
	} {
		code, out, log := evaluate(c.line...)
		assert.Equal(t, c.code, code, c.line)
		assert.Empty(t, out)
		for _, w := range c.want {
			assert.Contains(t, log, w)
		}
	}
}
