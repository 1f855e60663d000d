package config

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/vision/views"
)

// TestPresetsSuitAnyImages: of a preset, what the images have no use for becomes 0, and the rest is what package views has.
func TestPresetsSuitAnyImages(t *testing.T) {
	for _, name := range views.Presets() {
		preset, err := views.Preset(name)
		require.NoError(t, err)
		for _, channels := range []int{1, 3, 13} {
			c := Default()
			c.Views = PresetViews(name)
			require.NoError(t, c.Validate(), name)
			c = c.Resolve(Facts{Images: 1000, Width: 64, Height: 64, Channels: channels})
			require.NoError(t, c.Validate(), "%s, %d channels", name, channels)
			got, want := c.ViewsConfig(), preset.For(views.Kind{Channels: channels})
			want.Global.Size, want.Local.Size, want.Mean, want.Std = 64, got.Local.Size, got.Mean, got.Std
			if want.Local.Count == 0 {
				got.Local, want.Local = views.LocalConfig{}, views.LocalConfig{}
			}
			assert.Equal(t, want, got, "%s, %d channels", name, channels)

			// What is saved is what was done, and comes back.
			text, err := c.Encode()
			require.NoError(t, err)
			back := Default()
			require.NoError(t, back.Decode(text, "config.yaml"))
			assert.Equal(t, c, back)
		}
	}
}

// TestPresetInAFile: the file's other values are set over those of its preset, wherever it stands.
func TestPresetInAFile(t *testing.T) {
	c := decode(t, "views:\n  jitter: {contrast: 0.1}\n  flip: 0\n  preset: minimal\n")
	want := PresetViews("minimal")
	want.Jitter.Contrast, want.Flip = 0.1, 0
	assert.Equal(t, want, c.Views)

	c = Default()
	assert.ErrorContains(t, c.Decode([]byte("views: {preset: papers}"), "a.yaml"), `views.preset: "papers" is not one of paper, minimal`)
}

// TestReadme reads the pipeline that README.md shows.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, text, found := strings.Cut(string(readme), "```yaml\n")
	require.True(t, found)
	text, _, _ = strings.Cut(text, "```")
	c := decode(t, text)
	require.Len(t, c.Views.Steps, 3)
	assert.Equal(t, "satellite", c.Views.Preset)
	assert.NoError(t, c.Resolve(Facts{Images: 1000, Width: 64, Height: 64, Channels: 13}).Validate())
}

// TestUnsuitableViews: what is asked for and means nothing is an error before anything is trained, with key and reason;
// what is only a preset's is left out.
func TestUnsuitableViews(t *testing.T) {
	c := Default()
	require.NoError(t, c.Decode([]byte("encoder: {channels: 1}\nviews: {grayscale: 0.3, jitter: {hue: 0.05}, drop_channels: {p: 0.5}}"), "a.yaml"))
	err := c.Validate()
	for _, want := range []string{
		"views.grayscale: 0.3, expected 0 for images of 1 channel(s): only red, green and blue have a luma", "views.jitter.hue: 0.05, expected 0",
		"views.drop_channels.most: 1, expected fewer than the 1 channel(s) of the images",
	} {
		assert.ErrorContains(t, err, want)
	}
	assert.NotContains(t, err.Error(), "saturation", "which is the preset's")

	c = decode(t, "views: {grayscale: 0.3}")
	require.NoError(t, c.Validate(), "the channels are not known yet")
	assert.ErrorContains(t, c.Resolve(mnist()).Validate(), "views.grayscale: 0.3, expected 0 for images of 1 channel(s)")
	assert.NoError(t, c.Resolve(eurosat()).Validate())

	c = decode(t, "views:\n  steps:\n    - jitter: {p: 1, hue: 0.1}\n    - dihedral: {p: 1}\n")
	assert.ErrorContains(t, c.Resolve(mnist()).Validate(), "views.steps[0].jitter.hue: 0.1, expected 0")
	c = Default()
	assert.ErrorContains(t, c.Decode([]byte("views:\n  steps:\n    - turn: {p: 1}\n"), "a.yaml"), "a.yaml:3: views.steps: not a list of augmentations")
}
