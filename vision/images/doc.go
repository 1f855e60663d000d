// Package images reads collections of images: folder trees of JPEG, PNG, DICOM, TIFF, FITS and NumPy files, lists of them,
// tar files as WebDataset writes them, Parquet files as the Hugging Face hub has them, arrays in NumPy's and HDF5 files, and
// CIFAR's and MNIST's own files. [Open] tells which it is.
//
// Every collection is a [Source]: a length, a name for each image, and pixels on demand. A source that knows classes is
// [Labelled] too, and one with texts [Captioned]. Another kind of collection is a type with these three methods.
//
// # Pixels
//
// An [Image] is planar, of any number of channels, 8 bits a sample or deep. JPEG is decoded by libjpeg-turbo where the
// machine has it, which gives Pillow's pixels. Otherwise, if [Options].JPEG says so, and for files that libjpeg-turbo has doubts
// about, it is the standard library's image/jpeg; this package then makes RGB with libjpeg's arithmetic, smooth
// upsampling of chroma included, so that pixels differ from Pillow's by the rounding of the inverse DCT alone (the tests
// state how much). That takes about four times as long: make bench-views measures both. Images are independent, so that
// it scales with cores.
//
// Channels are converted as torchvision's default loader does, by Pillow's convert("RGB") or convert("L"): alpha is
// dropped and not composited, palettes are looked up, CMYK becomes RGB by ink subtraction, grey is repeated, and luma is
// (19595 R + 38470 G + 7471 B + 32768) >> 16. Unlike torchvision, the orientation that a JPEG's EXIF names is applied.
// A file of more than 8 bits a channel is refused with an error that says so, unless [Options].Deep asks for deep samples or
// [Options].Reduce16 for 8 bits: nothing is cut silently.
//
// # Scientific formats
//
// Packages dicom, tiff, fits and npy say what they read. They make rasters in the units of their files, and a [Stretch] says
// which values become 0 and 1. Unless another is asked for, it is the file's own: a DICOM file's window or, without one,
// the range of its stored bits; the range of integers for TIFF, NumPy and PNG; zscale for FITS, whose numbers are counts, but
// for bytes; percentiles 1 to 99 for other floats. Ranges that come from the samples of an image are of all its channels
// together. A file of 8 bits stays one without Deep, and NaN and no-data values become 0.
//
// A file may be several images: see [Frames]. Opacity is dropped, unless as many channels are asked for as there are with it.
// Grey is repeated and red, green and blue are mixed where 3 or 1 channels are asked for; any other number must be
// the file's own.
package images
