// Package images reads collections of images: folder trees of JPEG and PNG files, and IDX files such as MNIST's.
//
// Every collection is a [Source]: a length, a name for each image, and pixels on demand. A source that knows classes is
// [Labelled] too. Another kind of collection is a type with these three methods.
//
// # Pixels
//
// An [Image] is planar, of any number of channels, 8 bits a sample. JPEG is decoded by libjpeg-turbo where the machine has
// it, which gives Pillow's pixels. Otherwise, if [Options].JPEG says so, and for files that libjpeg-turbo has doubts
// about, it is the standard library's image/jpeg; this package then makes RGB with libjpeg's arithmetic, smooth
// upsampling of chroma included, so that pixels differ from Pillow's by the rounding of the inverse DCT alone (the tests
// state how much). That takes about four times as long: make bench-views measures both. Images are independent, so that
// it scales with cores.
//
// Channels are converted as torchvision's default loader does, by Pillow's convert("RGB") or convert("L"): alpha is
// dropped and not composited, palettes are looked up, CMYK becomes RGB by ink subtraction, grey is repeated, and luma is
// (19595 R + 38470 G + 7471 B + 32768) >> 16. Unlike torchvision, the orientation that a JPEG's EXIF names is applied.
// An image of 16 bits a channel is refused with an error that says so, unless [Options].Reduce16 asks for its upper 8
// bits: nothing is cut silently.
package images
