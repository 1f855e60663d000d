// Package views makes the views that LeJEPA learns from: several random crops of each image, of one or two sizes, with
// random colour, blur, noise, turns and mirroring.
//
// A [Config] says what views are made; [Paper], [Minimal], [MultiCrop], [Medical], [Satellite] and [Astronomy] are recipes.
// [New] turns it into a [Transform], and a [Loader] runs a transform over an image source with any number of workers.
// Augmentations are those of torchvision.transforms.v2 on tensors, with its arithmetic and its distributions of parameters;
// the tests hold them to its output. Normalising is left to whoever has the device.
//
// # Order
//
// Crop and resize, flips, quarter turns, rotation, colour jitter (its four parts in random order), grey, blur, noise,
// solarize, dropped channels. Config.Steps has any other order, in which augmentations may stand more than once.
//
// # Samples
//
// Images of 8 bits make views of bytes, with torchvision's arithmetic for uint8. If [Kind] is deep, images and views are
// floats, 0 being black and 1 white, with its arithmetic for float32; samples beyond that range, which torchvision does not
// expect, may stay there: see floatCanvas. Thresholds and fills mean the same for both.
//
// # Channels
//
// Crop, flips, turns, brightness, contrast, blur, noise and dropping work with any number of channels. Contrast pulls
// towards the mean luma with 3 channels, and towards the mean of all samples otherwise. Saturation, hue and grey mean
// something for RGB alone, and solarizing for pictures of 1 or 3 channels: [Config.Suits] says which keys do not suit,
// and New refuses them; [Config.For] leaves them out.
//
// # Randomness
//
// What is drawn for an image depends on (seed, epoch, index of the image) and the configuration, and on nothing else: not
// on the number of workers, nor on what came before.
//
// # Speed
//
// The loops over bytes are C where cgo is, with vector code for AVX2 (kernels.c), and Go otherwise (kernels.go): both
// give the same bytes, which the tests hold them to. Views of floats are made in Go.
package views
