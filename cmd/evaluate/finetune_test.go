package main

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/vision"
)

// TestFineTune: the classifier that is saved is of the model, has scores for the classes, and takes images as the encoder does.
func TestFineTune(t *testing.T) {
	train, test := folders(t)
	weights, saved := savedEncoder(t), filepath.Join(t.TempDir(), "tuned.safetensors")
	line := []string{"--weights", weights, "--train", train, "--test", test, "--k", "3", "--fine-tune", "--tune-epochs", "1", "--tune-steps", "40",
		"--tune-batch-size", "16", "--tune-lr", "3e-3", "--tune-layer-decay", "1", "--save", saved, "--shots", "2,all", "--draws", "2"}
	code, out, log := evaluate(append(line, "--json")...)
	require.Zero(t, code, log)
	var r result
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	f := r.FineTuned
	require.NotNil(t, f)
	assert.Equal(t, [2]int{29, 40}, [2]int{f.Images, f.Steps}, "without the broken one and the one of no class")
	assert.GreaterOrEqual(t, f.Top1, 0.8)
	assert.Equal(t, 10, f.N)
	assert.Equal(t, saved, f.Saved)
	require.Len(t, f.FewShot, 2)
	assert.Equal(t, [3]int{0, 2, 29}, [3]int{f.FewShot[1].Shots, f.FewShot[1].Draws, f.FewShot[1].N})
	require.Len(t, r.Scores[0].FewShot, 2, "of probes")

	m, err := vision.LoadFile(saved, vision.LoadOptions{Torch: torch.Options{Threads: 1}})
	require.NoError(t, err)
	defer m.Close()
	assert.Equal(t, "resnet18", m.Encoder.Spec().Name)
	assert.Equal(t, int64(3), m.Encoder.Dim())
	assert.NotNil(t, m.Encoder.Params().Get("fc.weight"))
	assert.Equal(t, [2]float64{0.2, 0.4}, [2]float64{m.Mean[0], m.Std[0]})

	code, out, log = evaluate(line...)
	require.Zero(t, code, log)
	assert.Contains(t, out, "fine-tuned end to end on 29 images in 40 steps, learning rate 0.003\n\n   accuracy   balanced   macro F1    AUROC\n")
	assert.Regexp(t, `fine-tuned on a few images of each class.*\n\n +2 +all\n .*±.*%.*±`, out)
	assert.Contains(t, log, "fine-tuning step 40/40")
}

// TestUntrained: an encoder of the same sizes as the file's, or of a name alone, with weights that the seed names.
func TestUntrained(t *testing.T) {
	train, test := folders(t)
	weights := savedEncoder(t)
	untrained := func(line ...string) (r result) {
		code, out, log := evaluate(append([]string{"--untrained", "--train", train, "--test", test, "--k", "3", "--json"}, line...)...)
		require.Zero(t, code, log)
		require.NoError(t, json.Unmarshal([]byte(out), &r))
		assert.True(t, r.Untrained)
		return r
	}
	a, b, other := untrained("--weights", weights), untrained("--weights", weights), untrained("--weights", weights, "--seed", "1")
	assert.Equal(t, "resnet18", a.Model)
	assert.Equal(t, 64, a.Scores[0].Dim)
	assert.Equal(t, a.Scores[0].Probe.Loss, b.Scores[0].Probe.Loss)
	assert.NotEqual(t, a.Scores[0].Probe.Loss, other.Scores[0].Probe.Loss)
	named := untrained("--model", "wren_nano", "--image-size", "16", "--channels", "1", "--fine-tune", "--tune-epochs", "1", "--tune-steps", "2", "--tune-views", "medical")
	assert.Equal(t, "wren_nano", named.Model)
	assert.Equal(t, 2, named.FineTuned.Steps)
	code, out, log := evaluate("--untrained", "--weights", weights, "--train", train, "--test", test, "--k", "3")
	require.Zero(t, code, log)
	assert.Contains(t, out, "resnet18 at 16 px, untrained: 29 images of 3 classes")
}

func TestFineTuneMistakes(t *testing.T) {
	weights := savedEncoder(t)
	code, _, log := evaluate("--weights", weights, "--fine-tune", "--tune-epochs", "0", "--tune-drop-path", "1", "--tune-flip", "2", "--tune-views", "nowhere",
		"--tune.smoothing", "1", "--save", "nowhere/tuned.bin")
	assert.Equal(t, 2, code)
	for _, want := range []string{
		"--fine-tune: eval: fine-tuning: Epochs is 0: expected 1 or more", "Smoothing is 1: expected", "--tune-drop-path: 1, expected", "--tune-flip: 2, expected a probability",
		"--tune-views: expected crops, none,", "--save: nowhere/tuned.bin, expected a name that ends in", "--save: stat nowhere",
	} {
		assert.Contains(t, log, want)
	}
	for want, line := range map[string][]string{
		"--save: is for --fine-tune":                      {"--weights", weights, "--save", "a.pt"},
		"--fine-tune: expected --train and --test":        {"--weights", weights, "--label-free", "--test", "b", "--fine-tune"},
		"--probe and --fine-tune are for classes":         {"--weights", weights, "--train", "a", "--test", "b", "--fine-tune", "--target-column", "c"},
		"--untrained: of which encoder? expected --model": {"--untrained"},
		"--weights: missing; expected a file of weights":  {"--model", "resnet18"},
	} {
		code, _, log := evaluate(line...)
		assert.Equal(t, 2, code)
		assert.Contains(t, log, want)
	}
	train, test := folders(t)
	code, _, log = evaluate("--untrained", "--model", "resnet19", "--train", train, "--test", test)
	assert.Equal(t, 1, code)
	assert.Contains(t, log, `--untrained: vision: unknown model "resnet19" (did you mean resnet18?)`)
}
