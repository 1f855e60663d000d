// Package views makes the views that LeJEPA learns from: several random crops of each image, of one or two sizes, with
// random colour, blur and mirroring.
//
// A [Config] says what views are made; [Paper], [Minimal] and [MultiCrop] are the published ones. [New] turns it into a
// [Transform], and a [Loader] runs a transform over an image source with any number of workers. Augmentations are those of
// torchvision.transforms.v2 on uint8 tensors, with its arithmetic and its distributions of parameters; the tests hold them
// to its output. Views are bytes: (x/255 − mean)/std is left to whoever has the device.
//
// # Order
//
// Crop and resize, flips, colour jitter (its four parts in random order), grey, blur, solarize.
//
// # Channels
//
// Crop, flips, brightness, contrast, blur and solarize work with any number of channels. Contrast pulls towards the mean
// luma with 3 channels, and towards the mean of all samples otherwise. Saturation, hue and grey mean something for RGB
// alone and leave other images as they are, as torchvision does with 1 channel.
//
// # Randomness
//
// What is drawn for an image depends on (seed, epoch, index of the image) and the configuration, and on nothing else: not
// on the number of workers, nor on what came before.
package views
