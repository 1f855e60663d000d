// Package tokenize turns texts into ids by a tokenizer.json, the file that Hugging Face's libraries write, as their Python
// package tokenizers does: the ids are equal, which is tested with texts in many scripts, random ones too.
//
// github.com/sugarme/tokenizer v0.3.0 is what it is built on: models are its [github.com/sugarme/tokenizer.Model], WordPiece and
// word-level models are its own, and its post-processors say which special tokens a text gets. What gave other ids than the
// Python package, or was slower than 1 MB/s, is replaced here, component by component; each says why. TestLibrary counts the
// texts of the golden file that the library alone gets wrong.
//
// What a file asks for and is not here is an error at loading, which names it. There is no libtorch in this package.
package tokenize
