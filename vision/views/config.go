package views

import "fmt"

// Config says which views are made of an image. Zero values mean what they say: no views, no blur. [Config.Validate]
// checks it.
type Config struct {
	Global       GlobalConfig   `yaml:"global"`
	Local        LocalConfig    `yaml:"local"`
	Flip         float64        `yaml:"flip" help:"probability of mirroring a view left to right" arg:"P"`
	VerticalFlip float64        `yaml:"vertical_flip" help:"probability of mirroring a view top to bottom" arg:"P"`
	Jitter       JitterConfig   `yaml:"jitter"`
	Grayscale    float64        `yaml:"grayscale" help:"probability of replacing the colours of a view by its luma; for 3 channels" arg:"P"`
	Blur         BlurConfig     `yaml:"blur"`
	Solarize     SolarizeConfig `yaml:"solarize"`
	Dihedral     float64        `yaml:"dihedral" help:"probability of turning a view by quarter turns and mirroring it, all eight ways being as likely" arg:"P"`
	Rotation     RotationConfig `yaml:"rotation"`
	Noise        NoiseConfig    `yaml:"noise"`
	DropChannels DropConfig     `yaml:"drop_channels"`
	Steps        Steps          `yaml:"steps" help:"augmentations of one's own choice and order, in place of all of the above but the crops"`
	Mean         []float64      `yaml:"mean" help:"mean of each channel, of samples in [0, 1], subtracted on the device"`
	Std          []float64      `yaml:"std" help:"standard deviation of each channel, of samples in [0, 1], divided by on the device"`
}

// GlobalConfig says how the global views are cropped, whose mean the others predict. It converts to LocalConfig; see there.
type GlobalConfig struct {
	Count         int           `yaml:"count" flag:"global-views" help:"global views of each image" arg:"N"`
	Size          int           `yaml:"size" help:"side of a global view, in pixels" arg:"N"`
	Scale         [2]float64    `yaml:"scale" help:"a global crop's share of the image's area: least and most"`
	Ratio         [2]float64    `yaml:"ratio" help:"a global crop's width over its height: least and most"`
	Interpolation Interpolation `yaml:"interpolation" help:"how global crops are resized: bilinear or bicubic, both antialiased"`
}

// LocalConfig says how the local views are cropped. The two differ in nothing but the names of their flags.
type LocalConfig struct {
	Count         int           `yaml:"count" flag:"local-views" help:"local views of each image" arg:"N"`
	Size          int           `yaml:"size" flag:"local-size" help:"side of a local view, in pixels" arg:"N"`
	Scale         [2]float64    `yaml:"scale" help:"a local crop's share of the image's area: least and most"`
	Ratio         [2]float64    `yaml:"ratio" help:"a local crop's width over its height: least and most"`
	Interpolation Interpolation `yaml:"interpolation" help:"how local crops are resized: bilinear or bicubic, both antialiased"`
}

// JitterConfig is colour jitter. Factors of brightness, contrast and saturation are uniform in [max(0, 1−x), 1+x], the shift
// of hue in [−x, x] turns; a part whose x is 0 is left out.
type JitterConfig struct {
	P          float64 `yaml:"p" help:"probability of colour jitter"`
	Brightness float64 `yaml:"brightness" help:"reach of the factor of brightness" arg:"X"`
	Contrast   float64 `yaml:"contrast" help:"reach of the factor of contrast" arg:"X"`
	Saturation float64 `yaml:"saturation" help:"reach of the factor of saturation; for 3 channels" arg:"X"`
	Hue        float64 `yaml:"hue" help:"reach of the shift of hue, in turns, at most 0.5; for 3 channels" arg:"X"`
}

// BlurConfig is Gaussian blur with a square kernel, mirrored at the edges.
type BlurConfig struct {
	P      float64    `yaml:"p" help:"probability of blur"`
	Kernel int        `yaml:"kernel" help:"side of the blur's kernel in pixels, odd" arg:"N"`
	Sigma  [2]float64 `yaml:"sigma" help:"the blur's standard deviation in pixels: least and most"`
}

// SolarizeConfig inverts the samples from a threshold on.
type SolarizeConfig struct {
	P         float64 `yaml:"p" help:"probability of inverting bright samples"`
	Threshold int     `yaml:"threshold" help:"samples from here on are inverted, 0 to 255" arg:"N"`
}

// RotationConfig turns views about their centre, as torchvision's RandomRotation: by an angle that is uniform in [−Degrees,
// Degrees].
type RotationConfig struct {
	P       float64 `yaml:"p" help:"probability of rotating a view"`
	Degrees float64 `yaml:"degrees" help:"largest angle, either way, up to 180" arg:"X"`
	Smooth  bool    `yaml:"smooth" help:"interpolate samples bilinearly, rather than take the nearest"`
	Fill    float64 `yaml:"fill" help:"what comes into the corners, from 0 (black) to 1 (white)" arg:"X"`
}

// NoiseConfig adds Gaussian noise of mean 0, as torchvision's GaussianNoise. Its standard deviation is uniform in Sigma.
type NoiseConfig struct {
	P     float64    `yaml:"p" help:"probability of noise"`
	Sigma [2]float64 `yaml:"sigma" help:"the noise's standard deviation, 1 being white: least and most"`
}

// DropConfig blanks channels: some number of them, uniform from 1 to Most.
type DropConfig struct {
	P    float64 `yaml:"p" help:"probability of blanking channels"`
	Most int     `yaml:"most" help:"channels that are blanked at most" arg:"N"`
	Fill float64 `yaml:"fill" help:"what is in place of them, from 0 (black) to 1 (white)" arg:"X"`
}

// Interpolation is how crops are resized. Both kinds widen their filter when they make an image smaller ("antialias").
type Interpolation int

// The kinds of interpolation.
const (
	Bilinear Interpolation = iota
	Bicubic                // with a = −0.5
)

// String is the name of the kind, as in configuration files.
func (i Interpolation) String() string {
	switch i {
	case Bilinear:
		return "bilinear"
	case Bicubic:
		return "bicubic"
	}
	return fmt.Sprintf("Interpolation(%d)", int(i))
}

// MarshalText is the name of the kind.
func (i Interpolation) MarshalText() ([]byte, error) {
	if i != Bilinear && i != Bicubic {
		return nil, fmt.Errorf("interpolation: no kind %d", int(i))
	}
	return []byte(i.String()), nil
}

// UnmarshalText takes the name of a kind.
func (i *Interpolation) UnmarshalText(text []byte) error {
	for _, k := range []Interpolation{Bilinear, Bicubic} {
		if string(text) == k.String() {
			*i = k
			return nil
		}
	}
	return fmt.Errorf("interpolation %q: expected bilinear or bicubic", text)
}

// LocalSize is the side of local views that goes with global ones and a patch size: the multiple of the patch nearest to
// 0.4375 times the global side, the larger of two as near, and at least one patch. With 224 and 14 it is the paper's 98. It
// panics if patch is not positive.
func LocalSize(global, patch int) int {
	if patch <= 0 {
		panic(fmt.Sprintf("views: LocalSize(%d, %d): patch must be positive", global, patch))
	}
	const num, den = 7, 16 // 0.4375
	return max(1, (2*num*global+den*patch)/(2*den*patch)) * patch
}

// maxSide is the largest view in pixels: far beyond any encoder, and far from overflowing.
const maxSide = 16384
