package fields

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// colour reads itself from text.
type colour string

func (c *colour) UnmarshalText(b []byte) error {
	if s := string(b); s != "red" && s != "blue" {
		return errors.New("no such colour: " + s)
	}
	*c = colour(b)
	return nil
}

func (c colour) MarshalText() ([]byte, error) { return []byte(c), nil }

type blur struct {
	P      float64 `yaml:"p" help:"how often"`
	Kernel int     `yaml:"kernel"`
}

type sample struct {
	Optim struct {
		LR    float64    `yaml:"lr" flag:"lr" help:"learning rate"`
		Betas [2]float64 `yaml:"betas"`
		Warm  int        `yaml:"warmup_steps" flag:"warmup-steps"`
	} `yaml:"optim" group:"Optimiser"`
	Views struct {
		Blur blur `yaml:"blur"`
	} `yaml:"views" group:"Views"`
	Hidden    []int         `yaml:"hidden" flag:"hidden" arg:"WIDTHS"`
	Precision string        `yaml:"precision" enum:"fp32,bf16" help:"arithmetic"`
	Out       string        `yaml:"out"`
	Labels    bool          `yaml:"labels"`
	Seed      uint64        `yaml:"seed"`
	Small     int8          `yaml:"small"`
	Every     time.Duration `yaml:"every"`
	Ink       colour        `yaml:"ink"`
	Scale     float32       `yaml:"scale"`
	Ignored   chan int      `yaml:"-"`
	private   int
}

func find(t *testing.T, s *sample, path string) Field {
	t.Helper()
	for _, f := range Of(s) {
		if f.Path == path {
			return f
		}
	}
	t.Fatalf("no field %s", path)
	return Field{}
}

func TestOf(t *testing.T) {
	s := &sample{private: 1}
	var got []string
	for _, f := range Of(s) {
		got = append(got, strings.TrimRight(strings.Join([]string{f.Path, f.Flag, f.Arg, f.Group}, " "), " "))
	}
	assert.Equal(t, []string{
		"optim.lr lr X Optimiser",
		"optim.betas  X,X Optimiser",
		"optim.warmup_steps warmup-steps N Optimiser",
		"views.blur.p  X Views",
		"views.blur.kernel  N Views",
		"hidden hidden WIDTHS",
		"precision  fp32|bf16",
		"out  TEXT",
		"labels",
		"seed  N",
		"small  N",
		"every  TIME",
		"ink  VALUE",
		"scale  X",
	}, got)
	assert.Panics(t, func() { Of(sample{}) })
	assert.Panics(t, func() { Of(new(int)) })
}

func TestSet(t *testing.T) {
	for _, tt := range []struct {
		path, text string
		want       string // the value after it, or "" for an error
		err        string
	}{
		{"optim.lr", "5e-4", "0.0005", ""},
		{"optim.lr", "0", "0", ""},
		{"optim.lr", "fast", "", `"fast" is not a number`},
		{"optim.lr", "NaN", "", `"NaN" is not a number`},
		{"optim.lr", "inf", "", `"inf" is not a number`},
		{"optim.lr", "1e999", "", `"1e999" is not a number`},
		{"optim.lr", "0x1p-2", "", `"0x1p-2" is not a number`},
		{"optim.lr", "", "", `"" is not a number`},
		{"optim.betas", "0.9,0.95", "0.9,0.95", ""},
		{"optim.betas", "0.9, 0.95", "0.9,0.95", ""},
		{"optim.betas", "0.9", "", `"0.9": a list of 1 values, expected 2`},
		{"optim.betas", "0.9,x", "", `"0.9,x": "x" is not a number`},
		{"optim.warmup_steps", "100", "100", ""},
		{"optim.warmup_steps", "1e5", "100000", ""},
		{"optim.warmup_steps", "010", "10", ""},
		{"optim.warmup_steps", "1.5", "", `"1.5" is not a whole number`},
		{"optim.warmup_steps", "1e300", "", `"1e300" is out of range`},
		{"hidden", "512,2048", "512,2048", ""},
		{"hidden", "", "", ""},
		{"hidden", "512,", "", `"512,": "" is not a whole number`},
		{"precision", "bf16", "bf16", ""},
		{"precision", "fp16", "", `"fp16" is not one of fp32, bf16`},
		{"precision", "double", "", `"double" is not one of fp32, bf16`},
		{"out", "runs/a b", "runs/a b", ""},
		{"labels", "true", "true", ""},
		{"labels", "yes", "", `"yes" is not true or false`},
		{"seed", "18446744073709551615", "18446744073709551615", ""},
		{"seed", "1e3", "1000", ""},
		{"seed", "-1", "", `"-1" is out of range`},
		{"small", "127", "127", ""},
		{"small", "128", "", `"128" is out of range`},
		{"every", "10m", "10m0s", ""},
		{"every", "10", "", `"10" is not a time such as 90s or 10m`},
		{"ink", "red", "red", ""},
		{"ink", "green", "", "no such colour: green"},
		{"scale", "0.1", "0.1", ""},
	} {
		t.Run(tt.path+"="+tt.text, func(t *testing.T) {
			s := new(sample)
			f := find(t, s, tt.path)
			before := f.String()
			err := f.Set(tt.text)
			if tt.err != "" {
				require.EqualError(t, err, tt.err)
				assert.Equal(t, before, f.String(), "a value that cannot be read changes nothing")
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tt.want, f.String())
			require.NoError(t, f.Set(f.String()), "what String writes, Set reads")
			assert.Equal(t, tt.want, f.String())
		})
	}
}

func TestNearest(t *testing.T) {
	candidates := []string{"optim.lr", "optim.weight_decay", "views.blur.p", "image-size", "epochs", "steps"}
	for name, want := range map[string]string{
		"lr":           "optim.lr",
		"optim.l":      "optim.lr",
		"wieght-decay": "optim.weight_decay",
		"imagesize":    "image-size",
		"Image_Size":   "image-size",
		"epoch":        "epochs",
		"setps":        "steps",
		"q":            "",
		"momentum":     "",
		"":             "",
	} {
		assert.Equal(t, want, Nearest(name, candidates), name)
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"lamda", "lambda", 1}, {"stesp", "steps", 1}, {"kitten", "sitting", 3}, {"größe", "grosse", 3}} {
		assert.Equal(t, tt.want, distance(tt.a, tt.b), tt.a+" "+tt.b)
		assert.Equal(t, tt.want, distance(tt.b, tt.a), tt.b+" "+tt.a)
	}
}
