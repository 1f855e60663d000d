package views

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func TestStepsAsText(t *testing.T) {
	var c Config
	require.NoError(t, yaml.Unmarshal([]byte(`
steps:
  - dihedral: {p: 1}
  - jitter: {p: 0.8, brightness: 0.4}
  - blur: {p: 0.5, kernel: 7, sigma: [0.1, 2]}
  - blur: {p: 1, kernel: 3, sigma: [1, 1]}
`), &c))
	want := Steps{
		{Dihedral: &Chance{1}}, {Jitter: &JitterConfig{P: 0.8, Brightness: 0.4}},
		{Blur: &BlurConfig{0.5, 7, [2]float64{0.1, 2}}}, {Blur: &BlurConfig{1, 3, [2]float64{1, 1}}},
	}
	assert.Equal(t, want, c.Steps)
	for _, s := range []Steps{want, nil} {
		text, err := s.MarshalText()
		require.NoError(t, err)
		assert.NotContains(t, string(text), "\n")
		var back Steps
		require.NoError(t, back.UnmarshalText(text))
		assert.Equal(t, s, back, string(text))
	}
	var s Steps
	assert.ErrorContains(t, s.UnmarshalText([]byte("- blurr: {p: 1}")), "field blurr not found")
	assert.ErrorContains(t, s.UnmarshalText([]byte("blur: {p: 1}")), "not a list of augmentations")
	assert.ErrorContains(t, s.UnmarshalText([]byte("- blur: {p: often}")), "not a list of augmentations")
	assert.NoError(t, s.UnmarshalText(nil))
	assert.Empty(t, s)
}

// TestStepsInOrder: augmentations are done in the order of the list, as often as they stand in it, and nothing else is.
func TestStepsInOrder(t *testing.T) {
	m := noise(rand.New(rand.NewPCG(1, 2)), 3, 12, 12)
	made := func(steps ...Step) []uint8 {
		c := Paper() // whose own augmentations are not done
		c.Global = GlobalConfig{Count: 1, Size: 12, Scale: [2]float64{1, 1}, Ratio: [2]float64{1, 1}}
		c.Local = LocalConfig{}
		c.Steps = steps
		p, err := New(c, Kind{Channels: 3}, 7)
		require.NoError(t, err)
		b := NewBatch(1, p.Layout())
		require.NoError(t, p.NewWorker().Generate(m, 0, 0, b, 0))
		return b.Groups[0].Pix
	}
	expect := func(change func(c *byteCanvas)) []uint8 {
		on := newByteCanvas(fastest())
		on.pix = make([]uint8, 3*12*12)
		on.start(m, rect{height: 12, width: 12}, 12, Bilinear, false, false)
		change(on)
		return on.pix
	}
	blur, grey := Step{Blur: &BlurConfig{P: 1, Kernel: 5, Sigma: [2]float64{2, 2}}}, Step{Grayscale: &Chance{1}}
	solarize := Step{Solarize: &SolarizeConfig{P: 1, Threshold: 128}}
	assert.Equal(t, expect(func(c *byteCanvas) { c.blur(5, 2); c.solarize(128) }), made(blur, solarize))
	assert.Equal(t, expect(func(c *byteCanvas) { c.solarize(128); c.blur(5, 2) }), made(solarize, blur))
	assert.NotEqual(t, made(blur, solarize), made(solarize, blur))
	assert.Equal(t, expect(func(c *byteCanvas) { c.grey(); c.blur(5, 2); c.blur(5, 2) }), made(grey, blur, blur))
	assert.Equal(t, expect(func(c *byteCanvas) { c.turn(0, true) }), made(Step{Flip: &Chance{1}}))
	assert.Equal(t, expect(func(c *byteCanvas) { c.turn(2, true) }), made(Step{VerticalFlip: &Chance{1}}))
	assert.Equal(t, expect(func(*byteCanvas) {}), made(Step{Flip: &Chance{0}}))

	c := Paper()
	c.Steps = Steps{blur, {Jitter: &JitterConfig{P: 1, Hue: 0.1}}, grey, {DropChannels: &DropConfig{P: 1, Most: 2}}}
	_, err := New(c, Kind{Channels: 2}, 1)
	for _, key := range []string{"views.steps[1].jitter.hue: ", "views.steps[2].grayscale.p: ", "views.steps[3].drop_channels.most: "} {
		assert.ErrorContains(t, err, key)
	}
	assert.NotContains(t, err.Error(), "solarize", "what is not done need not suit")
}
