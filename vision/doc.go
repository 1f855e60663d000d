// Package vision holds the image encoders: vision transformers, convolutional networks and small ones for CPUs, with the
// names, state-dict keys, initial values and arithmetic of timm, so that weights go both ways unchanged.
//
// An encoder for training is made by [New] in a scope of the caller's thread. [Load] makes one from a file of weights,
// with a thread of its own, to embed images:
//
//	m, err := vision.Load("vit_small_patch16_224", "model.safetensors", torch.CPU)
//	if err != nil {
//		return err
//	}
//	defer m.Close()
//	embeddings, err := m.Embed(ctx, images)
//
// Besides embeddings an encoder gives the maps of its levels ([Encoder.Features]), the tokens that it pools
// ([Encoder.Tokens]) and a ViT's attention ([Encoder.Attention]).
//
// A family of models is one file, and its variants are rows of a table.
package vision
