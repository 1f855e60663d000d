// Package weights reads and writes the files that hold PyTorch state dicts:
// safetensors, the zip archives of torch.save (.pt, .pth, .ckpt, .bin) and the
// pickle streams that torch.save made before version 1.6 (.pth, .th). It reads
// those in shards by their index (model.safetensors.index.json). It is pure Go
// and needs neither libtorch nor Python.
//
// A file is recognised by its content. [Open] reads only the listing; a
// tensor's elements are read from the file when asked for:
//
//	f, err := weights.Open("model.pth")
//	if err != nil {
//		return err
//	}
//	defer f.Close()
//	for _, t := range f.Tensors() {
//		data, err := f.Read(t.Name) // little endian, C order
//		...
//	}
//
// Files come from strangers. Pickles are parsed as data: no name in them is
// looked up or called, objects that are not tensors are stepped over. What is
// inconsistent (a size beyond the file, overlapping tensors, truncation) is an
// error, and listing a file takes at most 64 MB of memory over the file's size.
package weights
