package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/torch/weights"
	"github.com/gojepa/gojepa/torch/weights/layout"
)

const (
	golden      = "../../torch/weights/testdata"
	layouts     = "../../torch/weights/layout/testdata"
	checkpoints = "../../../shared/data/checkpoints"
)

// command runs a command line.
func command(line ...string) (code int, out, log string) {
	var stdout, stderr bytes.Buffer
	code = run(line, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func TestLs(t *testing.T) {
	for _, c := range []struct {
		line []string
		want []string
	}{
		{[]string{"dino.pth"}, []string{"dino.pth: PyTorch zip, 9 tensors of 35 elements, 138 bytes", "key: teacher", "conv.weight             float32  [2 1 3 3]  72 bytes"}},
		{[]string{"--key", "student", "dino.pth"}, []string{"key: student"}},
		{[]string{"--raw", "dino.pth"}, []string{"optimizer.state.1.exp_avg_sq", "teacher.module.conv.weight", "skipped:", "epoch", "an integer", "a argparse.Namespace"}},
		{[]string{"trainer.ckpt"}, []string{"PyTorch zip, 10 tensors of 37 elements, 146 bytes", "key: state_dict", "encoder.conv.weight "}},
		{[]string{"--raw", "trainer.ckpt"}, []string{"optimizer_states.0.state.0.exp_avg ", "hyper_parameters.args", "a argparse.Namespace"}},
		{[]string{"odd_tensors.pt"}, []string{"sparse", "a sparse tensor", "quantized"}},
		{[]string{"dtypes.safetensors"}, []string{"metadata:", `"quotes \" \\ and\n\t\x01\x7f"`, `"odd \"name\" \\ é\n\x1f"`, "float8_e4m3fn"}},
		{[]string{"model.safetensors.index.json"}, []string{"safetensors in 5 shards", "float64.matrix"}},
		{[]string{"--prefix", "bn.", "--drop", "running,num", "--rename", "bias=b", "ddp.pt"}, []string{"2 tensors", "b       float32", "weight  float32"}},
		{[]string{"../layout/testdata/clip.safetensors"}, []string{"layout: clip (OpenAI's CLIP and OpenCLIP, with a ViT)", "visual.proj"}},
		{[]string{"--layout", "auto", "../layout/testdata/clip.safetensors"}, []string{"head.weight", "blocks.0.attn.qkv.weight"}},
	} {
		last := len(c.line) - 1
		c.line[last] = filepath.Join(golden, c.line[last])
		code, out, log := command(append([]string{"ls"}, c.line...)...)
		assert.Zero(t, code, "%v: %s", c.line, log)
		for _, want := range c.want {
			assert.Contains(t, out, want, "%v", c.line)
		}
	}
}

func TestConvertAndDiff(t *testing.T) {
	dir := t.TempDir()
	in := filepath.Join(golden, "lightning.ckpt")
	st, pt, half := filepath.Join(dir, "a.safetensors"), filepath.Join(dir, "b.pt"), filepath.Join(dir, "half.pt")
	code, _, log := command("convert", in, st)
	require.Zero(t, code, log)
	assert.Contains(t, log, "a.safetensors: 9 tensors, 138 bytes")
	code, _, log = command("convert", st, pt)
	require.Zero(t, code, log)
	code, out, _ := command("diff", in, pt)
	assert.Zero(t, code)
	assert.Equal(t, "equal: 9, different: 0\n", out)

	code, _, log = command("convert", "--dtype", "bfloat16", "--rename", "conv.=stem.,bn.=norm.", "--drop", "mask", in, half)
	require.Zero(t, code, log)
	code, out, _ = command("diff", in, half)
	assert.Equal(t, 1, code)
	assert.Contains(t, out, "< mask bool[2]\n")
	assert.Contains(t, out, "> stem.weight bfloat16[2 1 3 3]\n")
	assert.Contains(t, out, "  blocks.0.bias float32[2], not bfloat16[2]: numbers ")
	code, out, _ = command("diff", "--prefix", "blocks.", in, half)
	assert.Equal(t, 1, code)
	assert.Equal(t, "equal: 0, different: 2\n", out[strings.Index(out, "equal: 0"):])

	code, _, log = command("convert", in, in+".txt")
	assert.Equal(t, 1, code)
	assert.Contains(t, log, "expected .safetensors, .pt")
	code, _, log = command("convert", filepath.Join(golden, "dtypes.pt"), st)
	assert.Equal(t, 1, code)
	assert.Contains(t, log, `safetensors has no complex`)
	code, _, log = command("convert", filepath.Join(golden, "model.safetensors.index.json"), st)
	assert.Zero(t, code, log)
	code, out, _ = command("diff", filepath.Join(golden, "pytorch_model.bin.index.json"), st)
	assert.Zero(t, code, out)
}

// TestConvertToTimm: what comes out loads with timm's names, and nothing is left of others.
func TestConvertToTimm(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(layouts, "*.safetensors"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	out := filepath.Join(t.TempDir(), "timm.safetensors")
	for _, file := range files {
		code, _, log := command("convert", "--layout", "auto", file, out)
		require.Zero(t, code, log)
		assert.Contains(t, log, "names were those of")
		f, err := weights.Open(out)
		require.NoError(t, err)
		for _, info := range f.Tensors() {
			assert.Regexp(t, `^(cls_token|reg_token|pos_embed|patch_embed\.|norm_pre\.|blocks\.\d|norm\.|head\.|conv1\.|bn1\.|layer\d)`, info.Name)
		}
		require.NoError(t, f.Close())
	}
}

func entry(name string, d weights.DType, data string, shape ...int64) weights.Entry {
	return weights.NewEntry(weights.Info{Name: name, DType: d, Shape: shape}, []byte(data))
}

func TestDiff(t *testing.T) {
	const one, two, nan = "\x00\x00\x80\x3f", "\x00\x00\x00\x40", "\x00\x00\xc0\x7f"
	for _, c := range []struct {
		name string
		a, b weights.Entry
		more []string
		want string
	}{
		{"value", entry("w", weights.F32, one+one, 2), entry("w", weights.F32, one+two, 2), nil, "  w: numbers differ by up to 1, 1 of 2\n"},
		{"shape", entry("w", weights.F32, one+one, 2), entry("w", weights.F32, one+one, 1, 2), nil, "  w float32[2], not float32[1 2]\n"},
		{"type", entry("w", weights.F32, one), entry("w", weights.F16, "\x00\x3c"), nil, "  w float32[], not float16[]: numbers are equal\n"},
		{"NaN", entry("w", weights.F32, nan+one, 2), entry("w", weights.F32, one+one, 2), nil, "numbers differ by up to 0, 1 of 2, of which 1 are NaN in one\n"},
		{"both NaN", entry("w", weights.F32, nan), entry("w", weights.F32, "\x00\x00\xc0\xff"), nil, ""},
		{"zeros", entry("w", weights.F32, "\x00\x00\x00\x00"), entry("w", weights.F32, "\x00\x00\x00\x80"), nil, ""},
		{"tolerance", entry("w", weights.F32, one), entry("w", weights.F32, two), []string{"--tolerance", "1"}, ""},
		{"no tolerance for NaN", entry("w", weights.F32, one), entry("w", weights.F32, nan), []string{"--tolerance", "9"}, "NaN"},
		{"complex", entry("w", weights.C64, one+two), entry("w", weights.F32, one), nil, "  w complex64[], not float32[]: numbers differ by up to +Inf"},
		{"infinite", entry("w", weights.F32, "\x00\x00\x80\x7f"), entry("w", weights.F32, one), nil, "differ by up to +Inf"},
		{"name", entry("a\n", weights.U8, "x"), entry("b", weights.U8, "x"), nil, "< \"a\\n\" uint8[]\n> b uint8[]\n"},
	} {
		dir := t.TempDir()
		a, b := filepath.Join(dir, "a.pt"), filepath.Join(dir, "b.pt")
		require.NoError(t, weights.SaveFile(a, []weights.Entry{c.a}, nil))
		require.NoError(t, weights.SaveFile(b, []weights.Entry{c.b}, nil))
		code, out, log := command(append(append([]string{"diff"}, c.more...), a, b)...)
		assert.Contains(t, out, c.want, c.name)
		assert.Empty(t, log)
		if c.want == "" {
			assert.Zero(t, code, c.name)
		} else {
			assert.Equal(t, 1, code, c.name)
		}
	}
}

func TestMistakes(t *testing.T) {
	any := filepath.Join(golden, "empty.pt")
	for _, c := range []struct {
		line []string
		code int
		want string
	}{
		{nil, 2, "Usage:"},
		{[]string{"rm", any}, 2, `"rm": no such command`},
		{[]string{"ls"}, 2, "expected FILE: got 0 arguments"},
		{[]string{"ls", any, any}, 2, "got 2 arguments"},
		{[]string{"ls", "none.pt"}, 1, "none.pt"},
		{[]string{"diff", "none.pt", any}, 2, "none.pt"},
		{[]string{"diff", any, "none.pt"}, 2, "none.pt"},
		{[]string{"diff", "--tolerance", "-1", any, any}, 2, "--tolerance: -1"},
		{[]string{"ls", "--layout", "x", any}, 2, `unknown layout "x"`},
		{[]string{"ls", "--layout", "clip", any}, 1, "lacks the keys"},
		{[]string{"ls", "--raw", "--key", "a", any}, 2, "expected one of them"},
		{[]string{"ls", "--rename", "a", any}, 2, `"a": expected OLD=NEW`},
		{[]string{"ls", "--prefix", "x", filepath.Join(golden, "ddp.pt")}, 1, "no key is left"},
		{[]string{"convert", "--dtype", "int8", any, any}, 2, "int8"},
	} {
		code, out, log := command(c.line...)
		assert.Equal(t, c.code, code, "%v", c.line)
		assert.Contains(t, log, c.want, "%v", c.line)
		assert.Empty(t, out, "%v", c.line)
	}
}

func TestHelp(t *testing.T) {
	code, out, _ := command("--help")
	assert.Zero(t, code)
	for _, sub := range subcommands() {
		assert.Contains(t, out, sub.Name)
		code, text, _ := command(strings.TrimPrefix(sub.Name, "weights "), "--help")
		assert.Zero(t, code)
		for _, name := range layout.Names() {
			if name != "clip-resnet" { // which is known only to be refused
				assert.Contains(t, strings.Join(strings.Fields(text), " "), name, "the help of --layout")
			}
		}
	}
}

// TestSharedCheckpoints lists and converts real checkpoints.
func TestSharedCheckpoints(t *testing.T) {
	if _, err := os.Stat(checkpoints); err != nil {
		t.Skip("needs the checkpoints of shared/data beside the repository")
	}
	listed := map[string]string{
		"facenet_pnet.pt":       ": PyTorch legacy pickle, 13 tensors of 6632 elements, 26.5 kB\n\nconv1.weight    float32  [10 3 3 3]   1.08 kB\n",
		"fortran_tensor_3d.pth": ": PyTorch zip, 1 tensor of 24 elements, 192 bytes\n\ntensor_fortran  int64  [2 3 4]  192 bytes\n",
		"lpips_squeeze.pth":     ": PyTorch legacy pickle, 7 tensors of 2240 elements, 8.96 kB\n\nlin0.model.1.weight  float32  [1 64 1 1]   256 bytes\n",
		"resnet20-12fca82f.th":  ": PyTorch legacy pickle, 97 tensors of 271098 elements, 1.08 MB\nkey: state_dict\nlayout: cifar-resnet (ResNets for CIFAR's images, as akamaster/pytorch_resnet_cifar10 has them)\n\nconv1.weight               float32  [16 3 3 3]   1.73 kB\n",
		"test.pt":               ": PyTorch zip, 1 tensor of 8 elements, 64 bytes\n\ntest  int64  [2 4]  64 bytes\n",
		"test_with_key.pt":      ": PyTorch zip, 1 tensor of 8 elements, 64 bytes\nkey: model_state_dict\n\ntest  int64  [2 4]  64 bytes\n",
		"voices.safetensors":    ": safetensors, 2 tensors of 64812 elements, 292 kB\n\ntokens  int64  [1 982 33]  259 kB\nmask    uint8  [1 982 33]  32.4 kB\n",
		"torchscript_foo1.pt":   "refused: a TorchScript module, not a state dict",
		"torchscript_foo6.pt":   "refused: a TorchScript module, not a state dict",
		"LICENSE.resnet20":      "refused: unknown format: expected safetensors or a file made by torch.save",
	}
	for name, want := range listed {
		file := filepath.Join(checkpoints, name)
		code, out, log := command("ls", file)
		if why, refused := strings.CutPrefix(want, "refused"); refused {
			assert.Equal(t, 1, code)
			assert.Equal(t, "weights ls: weights: "+file+why+"\n", log)
			assert.Empty(t, out)
			continue
		}
		assert.Zero(t, code, log)
		assert.Contains(t, out, file+want)
		for _, ext := range []string{".pt", ".safetensors"} {
			to := filepath.Join(t.TempDir(), "w"+ext)
			code, _, log = command("convert", file, to)
			assert.Zero(t, code, log)
			code, out, _ = command("diff", file, to)
			assert.Zero(t, code, "%s: %s", file, out)
		}
	}
}

// TestPureGo builds the command without cgo.
func TestPureGo(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "weights")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	out, err = exec.Command(binary, "ls", filepath.Join(golden, "dino.pth")).CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Contains(t, string(out), "key: teacher")
	err = exec.Command(binary, "diff", filepath.Join(golden, "dino.pth"), filepath.Join(golden, "ddp.pt")).Run()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 1, exit.ExitCode())
}
