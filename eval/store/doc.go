// Package store keeps embeddings of many images on disk: written as they are made, in one file or in shards, and found
// again by an index.
//
// A set is named by a path such as photos.npy; its ending is the format: .npy, .safetensors (tensor "features", and "labels"
// where there are some), .parquet (columns file, label, embedding) or .csv. Where all images fit into one shard, that file is
// the set. Otherwise its shards are photos-00000-of-00012.npy and so on. Each is of as many consecutive images of the collection, and
// rows are in the collection's order; an image that cannot be read has no row. Names, where the format has no place for them, are in
// photos-00000-of-00012.files.txt, one on each line, and classes in photos-00000-of-00012.labels.npy.
//
// photos.index.json is the index: sizes, classes, shards with their SHA-256, images that were left out, the encoder and
// what the set was made with. It is replaced after each shard, so that [Write] goes on where it was interrupted.
package store
