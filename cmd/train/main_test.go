package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/cmd/internal/cmdtest"
	"github.com/gojepa/gojepa/torch/torchtest"
)

// asCommand makes the test binary the command itself, for what needs a process of its own.
const asCommand = "GOJEPA_TEST_AS_TRAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		os.Exit(command(os.Args[1:], os.Stdout, os.Stderr))
	}
	torchtest.Main(m)
}

// flat is a folder of images in no classes.
func flat(t *testing.T) string {
	return filepath.Join(cmdtest.Folder(t, 16), "above")
}

// tiny are flags of a run that takes a moment.
func tiny(data, out string, more ...string) []string {
	return append([]string{
		"--data", data, "--out", out, "--model", "vit_tiny_patch16_224", "--image-size", "16", "--patch-size", "4",
		"--width", "16", "--depth", "1", "--heads", "2", "--global-views", "2", "--local-views", "1", "--slices", "8",
		"--views.blur.kernel", "3", "--batch-size", "8", "--precision", "fp32", "--threads", "1", "--workers", "1",
	}, more...)
}

func execute(line ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = command(line, &out, &err)
	return code, out.String(), err.String()
}

func TestTrainsOnAFolder(t *testing.T) {
	data, out := cmdtest.Folder(t, 40), filepath.Join(t.TempDir(), "run")
	require.NoError(t, os.WriteFile(filepath.Join(data, "notes.txt"), []byte("not an image"), 0o644))
	code, stdout, stderr := execute(tiny(data, out, "--steps", "4", "--labels", "--baselines")...)
	require.Equal(t, 0, code, stderr)
	for _, part := range []string{"this encoder", "the same, untrained", "raw pixels", out + "/encoder.safetensors", "report.html"} {
		assert.Contains(t, stdout, part)
	}
	assert.Contains(t, stderr, "40 images of", "said before the first step")
	assert.Contains(t, stderr, "1 channel(s)", "grey images are found to be grey")
	assert.Contains(t, stderr, "step 4/4")
	assert.NotContains(t, stderr, "\r", "plain lines where the output is no terminal")

	code, stdout, _ = execute(tiny(data, out, "--steps", "4")...)
	assert.Equal(t, 0, code, "a finished run, again")
	assert.NotContains(t, stdout, "linear", "without --labels nothing is evaluated")
}

func TestOneBrokenImageAmongMany(t *testing.T) {
	data, out := cmdtest.Folder(t, 120), filepath.Join(t.TempDir(), "run")
	require.NoError(t, os.WriteFile(filepath.Join(data, "above", "torn.png"), []byte("\x89PNG\r\n\x1a\nrest is missing"), 0o644))
	code, stdout, stderr := execute(tiny(data, out, "--steps", "16")...)
	require.Equal(t, 0, code, stderr)
	assert.Contains(t, stdout, "images that could not be read: 1")
	assert.Contains(t, stderr, "torn.png")
}

func TestMistakes(t *testing.T) {
	empty := t.TempDir()
	noImages := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(noImages, "a.txt"), []byte("x"), 0o644))
	threeMistakes := filepath.Join(t.TempDir(), "c.yaml")
	require.NoError(t, os.WriteFile(threeMistakes, []byte("loss:\n  lambda: 7\n  slyces: 3\noptim:\n  lr: fast\n"), 0o644))
	for name, c := range map[string]struct {
		line []string
		want []string
	}{
		"missing folder":          {[]string{"--data", filepath.Join(empty, "none")}, []string{"none", "no such file or folder"}},
		"empty folder":            {[]string{"--data", empty}, []string{empty}},
		"a folder without images": {[]string{"--data", noImages}, []string{noImages}},
		"unknown model":           {tiny(cmdtest.Folder(t, 8), filepath.Join(empty, "o"), "--model", "vit_tinny_patch16_224"), []string{"unknown model", "did you mean vit_tiny_patch16_224"}},
		"patch does not divide":   {[]string{"--image-size", "30", "--model", "vit_tiny_patch16_224", "--patch-size", "8"}, []string{"encoder.image_size: 30", "multiple of the patch size 8"}},
		"three mistakes at once":  {[]string{"--config", threeMistakes}, []string{"lambda", "slyces", "did you mean", "slices", "lr"}},
		"unknown flag":            {[]string{"--lamda", "1"}, []string{"--lamda", "--lambda"}},
		"labels without classes":  {tiny(flat(t), filepath.Join(empty, "o"), "--labels"), []string{"--labels", "fewer than two classes"}},
		"an argument":             {[]string{"photos"}, []string{`"photos"`, "takes no arguments"}},
		"no such device":          {[]string{"--device", "cuda:77"}, []string{"cuda:77"}},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := execute(c.line...)
			assert.NotEqual(t, 0, code)
			assert.Empty(t, stdout)
			for _, part := range c.want {
				assert.Contains(t, stderr, part)
			}
		})
	}
}

func TestViewsOfAPreset(t *testing.T) {
	data, out := cmdtest.Folder(t, 16), filepath.Join(t.TempDir(), "run")
	file := filepath.Join(t.TempDir(), "c.yaml")
	require.NoError(t, os.WriteFile(file, []byte("views: {preset: minimal, flip: 0.25}\nloss: {lambda: 0.03}\n"), 0o644))
	for name, c := range map[string]struct {
		flags []string
		want  []string // of the configuration that is saved
	}{
		"file":         {[]string{"--config", file}, []string{"preset: minimal", "flip: 0.25", "brightness: 0.8"}},
		"flag":         {[]string{"--views", "astronomy"}, []string{"preset: astronomy", "flip: 0.5", "brightness: 0.3", "saturation: 0"}},
		"flags":        {[]string{"--views.flip=0.125", "--views=astronomy"}, []string{"preset: astronomy", "flip: 0.125", "brightness: 0.3"}},
		"flag, file":   {[]string{"--views", "medical", "--config", file}, []string{"preset: medical", "flip: 0.5", "degrees: 10", "lambda: 0.03"}},
		"steps, as is": {[]string{"--views.steps", "[{dihedral: {p: 1}}]"}, []string{"preset: paper", "steps: [{dihedral: {p: 1}}]"}},
	} {
		t.Run(name, func(t *testing.T) {
			out := out + strings.ReplaceAll(name, " ", "")
			code, _, stderr := execute(tiny(data, out, append(c.flags, "--steps", "1")...)...)
			require.Equal(t, 0, code, stderr)
			saved, err := os.ReadFile(filepath.Join(out, "config.yaml"))
			require.NoError(t, err)
			for _, part := range c.want {
				assert.Contains(t, string(saved), part)
			}
		})
	}
	code, _, stderr := execute("--views", "papers")
	assert.NotEqual(t, 0, code)
	assert.Contains(t, stderr, `"papers" is not one of paper, minimal`)

	sheet := filepath.Join(t.TempDir(), "views.png")
	code, stdout, stderr := execute(tiny(data, out, "--preview", sheet)...)
	require.Equal(t, 0, code, stderr)
	assert.Contains(t, stdout, sheet)
	assert.FileExists(t, sheet)
	assert.NoDirExists(t, out)
}

func TestOutOfAnotherConfiguration(t *testing.T) {
	data, out := cmdtest.Folder(t, 16), filepath.Join(t.TempDir(), "run")
	code, _, stderr := execute(tiny(data, out, "--steps", "1")...)
	require.Equal(t, 0, code, stderr)
	code, _, stderr = execute(tiny(data, out, "--steps", "1", "--lambda", "0.3")...)
	assert.NotEqual(t, 0, code)
	assert.Contains(t, stderr, "loss.lambda: 0.3 here, 0.02 in that run")
}

func TestDemoFlag(t *testing.T) {
	for line, want := range map[string]bool{
		"--demo": true, "-demo": true, "--demo=true": true, "--steps 3 --demo": true, "--demo --steps 3": true,
		"": false, "--demo=false": false, "--demo false": false, "--data demo": false,
	} {
		assert.Equal(t, want, wantsDemo(strings.Fields(line)), line)
	}
	assert.NoError(t, demo().Validate())
}

func TestHelp(t *testing.T) {
	code, stdout, _ := execute("--help")
	require.Equal(t, 0, code)
	for _, flag := range strings.Fields(`--config --data --model --image-size --patch-size --channels --global-views
		--local-views --local-size --lambda --slices --proj-dim --batch-size --epochs --steps --lr --weight-decay
		--warmup-steps --precision --seed --device --threads --workers --out --checkpoint-every --resume --demo`) {
		assert.Contains(t, stdout, "  "+flag, "help names every flag")
	}
}

// TestFullDisk runs out of space, by a limit on the size of files, while the second checkpoint is written: the first stays
// whole, and the error says which file was at fault.
func TestFullDisk(t *testing.T) {
	data, out := cmdtest.Folder(t, 16), filepath.Join(t.TempDir(), "run")
	code, _, stderr := execute(tiny(data, out, "--steps", "1")...)
	require.Equal(t, 0, code, stderr)
	checkpoint := filepath.Join(out, "checkpoint.safetensors")
	before, err := os.ReadFile(checkpoint)
	require.NoError(t, err)

	script := fmt.Sprintf(`ulimit -f %d; exec "$0" "$@"`, len(before)/2/1024)
	cmd := exec.Command("bash", append([]string{"-c", script, os.Args[0]}, tiny(data, out, "--steps", "2")...)...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	said, err := cmd.CombinedOutput()
	require.Error(t, err)
	assert.Equal(t, 1, cmd.ProcessState.ExitCode(), string(said))
	assert.Contains(t, string(said), checkpoint)
	assert.Contains(t, string(said), "file too large")
	after, err := os.ReadFile(checkpoint)
	require.NoError(t, err)
	assert.Equal(t, before, after)
}

// TestInterrupt presses Ctrl-C in the middle of a run and starts the same command again.
func TestInterrupt(t *testing.T) {
	data, out := cmdtest.Folder(t, 40), filepath.Join(t.TempDir(), "run")
	line := tiny(data, out, "--steps", "100000")
	cmd := exec.Command(os.Args[0], line...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	said := bufio.NewReader(stderr)
	for {
		text, err := said.ReadString('\n')
		require.NoError(t, err, "the run ended before it was interrupted")
		if strings.Contains(text, "step ") {
			break
		}
	}
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	rest, err := io.ReadAll(said)
	require.NoError(t, err)
	assert.Error(t, cmd.Wait())
	assert.Equal(t, 75, cmd.ProcessState.ExitCode())
	assert.Contains(t, string(rest), "the run is saved in "+out)
	assert.Contains(t, string(rest), "The same command goes on with it")

	again := exec.Command(os.Args[0], line...)
	again.Env = append(os.Environ(), asCommand+"=1")
	stderr, err = again.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, again.Start())
	said = bufio.NewReader(stderr)
	for {
		text, err := said.ReadString('\n')
		require.NoError(t, err, "the run did not go on")
		if strings.Contains(text, "going on with the run") {
			break
		}
	}
	require.NoError(t, again.Process.Signal(syscall.SIGINT))
	_, err = io.Copy(io.Discard, said)
	require.NoError(t, err)
	assert.Error(t, again.Wait())
	assert.Equal(t, 75, again.ProcessState.ExitCode())
}
