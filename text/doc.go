// Package text holds encoders of texts: Transformers with the state-dict names and the outputs of BERT and MiniLM in Hugging Face's
// transformers, so that their weights load as they are. An [Encoder] takes one tensor and gives one, as lejepa's interface asks:
// ids [N, T] with -1 beyond the end of each text, and embeddings [N, Dim].
//
// Package tokenize makes ids of texts, package augment makes views of them.
package text
