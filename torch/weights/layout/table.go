package layout

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gojepa/gojepa/torch/weights"
)

// to is a rule that renames, or joins in the order given.
func to(name string, from ...string) rule { return rule{to: name, from: from} }

// drop is a rule that leaves out what another part of the model owns.
func drop(from ...string) rule { return rule{from: from} }

func (r rule) as(f form) rule { r.form = f; return r }

// qkv joins queries, keys and values, weights or biases, in a pattern with %s for
// their names.
func qkv(pattern, q, k, v string) rule {
	return to("blocks.#.attn.qkv.*", fmt.Sprintf(pattern, q), fmt.Sprintf(pattern, k), fmt.Sprintf(pattern, v))
}

// layouts is the table of layouts. Whose marks are more special comes first.
var layouts = []*Layout{
	{
		Name: "torchvision", About: "torchvision's ViT",
		prefixes: []string{""}, marks: []string{"class_token", "conv_proj.weight", "encoder.pos_embedding"},
		rules: []rule{
			to("cls_token", "class_token"),
			to("patch_embed.proj.*", "conv_proj.*"),
			to("pos_embed", "encoder.pos_embedding"),
			to("blocks.#.norm1.*", "encoder.layers.encoder_layer_#.ln_1.*"),
			to("blocks.#.norm2.*", "encoder.layers.encoder_layer_#.ln_2.*"),
			to("blocks.#.attn.qkv.*", "encoder.layers.encoder_layer_#.self_attention.in_proj_*"),
			to("blocks.#.attn.proj.*", "encoder.layers.encoder_layer_#.self_attention.out_proj.*"),
			to("blocks.#.mlp.fc1.*", "encoder.layers.encoder_layer_#.mlp.0.*"),
			to("blocks.#.mlp.fc2.*", "encoder.layers.encoder_layer_#.mlp.3.*"),
			to("blocks.#.mlp.fc1.*", "encoder.layers.encoder_layer_#.mlp.linear_1.*"),
			to("blocks.#.mlp.fc2.*", "encoder.layers.encoder_layer_#.mlp.linear_2.*"),
			to("norm.*", "encoder.ln.*"),
			to("head.*", "heads.head.*"),
		},
	},
	{
		Name: "clip-resnet", About: "OpenAI's CLIP, with a ResNet",
		prefixes: []string{"visual.", ""}, marks: []string{"attnpool.positional_embedding", "layer1.0.conv1.weight"},
		refuse: "the ResNet of CLIP, which pools by attention (attnpool)",
	},
	{
		Name: "clip", About: "OpenAI's CLIP and OpenCLIP, with a ViT",
		prefixes: []string{"visual.", ""}, marks: []string{"class_embedding", "conv1.weight", "ln_pre.weight"},
		rules: []rule{
			to("cls_token", "class_embedding").as(token),
			to("pos_embed", "positional_embedding").as(batched),
			to("patch_embed.proj.*", "conv1.*"),
			to("norm_pre.*", "ln_pre.*"),
			to("blocks.#.norm1.*", "transformer.resblocks.#.ln_1.*"),
			to("blocks.#.norm2.*", "transformer.resblocks.#.ln_2.*"),
			to("blocks.#.attn.qkv.*", "transformer.resblocks.#.attn.in_proj_*"),
			to("blocks.#.attn.proj.*", "transformer.resblocks.#.attn.out_proj.*"),
			to("blocks.#.mlp.fc1.*", "transformer.resblocks.#.mlp.c_fc.*"),
			to("blocks.#.mlp.fc2.*", "transformer.resblocks.#.mlp.c_proj.*"),
			to("norm.*", "ln_post.*"),
			to("head.weight", "proj").as(transposed),
		},
		finish: headBias,
	},
	{
		Name: "hf-clip", About: "CLIP in Hugging Face's transformers",
		prefixes: []string{"vision_model.", "clip.vision_model.", ""},
		marks:    []string{"embeddings.class_embedding", "embeddings.position_embedding.weight", "pre_layrnorm.weight"},
		rules: []rule{
			drop("embeddings.position_ids"),
			to("cls_token", "embeddings.class_embedding").as(token),
			to("pos_embed", "embeddings.position_embedding.weight").as(batched),
			to("patch_embed.proj.*", "embeddings.patch_embedding.*"),
			to("norm_pre.*", "pre_layrnorm.*"), // theirs is spelt so
			to("blocks.#.norm1.*", "encoder.layers.#.layer_norm1.*"),
			to("blocks.#.norm2.*", "encoder.layers.#.layer_norm2.*"),
			qkv("encoder.layers.#.self_attn.%s_proj.*", "q", "k", "v"),
			to("blocks.#.attn.proj.*", "encoder.layers.#.self_attn.out_proj.*"),
			to("blocks.#.mlp.fc1.*", "encoder.layers.#.mlp.fc1.*"),
			to("blocks.#.mlp.fc2.*", "encoder.layers.#.mlp.fc2.*"),
			to("norm.*", "post_layernorm.*"),
			to("head.weight", "/visual_projection.weight"),
		},
		finish: headBias,
	},
	{
		Name: "hf-vit", About: "ViT, MAE, DINOv2 and I-JEPA in Hugging Face's transformers",
		prefixes: []string{"", "vit.", "dinov2.", "dinov2_with_registers.", "ijepa."},
		marks:    []string{"embeddings.patch_embeddings.projection.weight", "layernorm.weight"},
		rules: []rule{
			drop("embeddings.mask_token", "pooler.*", "/decoder.*"),
			to("cls_token", "embeddings.cls_token"),
			to("reg_token", "embeddings.register_tokens"),
			to("pos_embed", "embeddings.position_embeddings"),
			to("patch_embed.proj.*", "embeddings.patch_embeddings.projection.*"),
			// The second name is that of the library's fifth version in memory, where it differs from that in files.
			to("blocks.#.norm1.*", "encoder.layer.#.layernorm_before.*"),
			to("blocks.#.norm2.*", "encoder.layer.#.layernorm_after.*"),
			to("blocks.#.norm1.*", "layers.#.layernorm_before.*"),
			to("blocks.#.norm2.*", "layers.#.layernorm_after.*"),
			to("blocks.#.norm1.*", "encoder.layer.#.norm1.*"),
			to("blocks.#.norm2.*", "encoder.layer.#.norm2.*"),
			qkv("encoder.layer.#.attention.attention.%s.*", "query", "key", "value"),
			qkv("encoder.layer.#.attention.%s_proj.*", "q", "k", "v"),
			qkv("layers.#.attention.%s_proj.*", "q", "k", "v"),
			to("blocks.#.attn.proj.*", "encoder.layer.#.attention.output.dense.*"),
			to("blocks.#.attn.proj.*", "encoder.layer.#.attention.o_proj.*"),
			to("blocks.#.attn.proj.*", "layers.#.attention.o_proj.*"),
			to("blocks.#.mlp.fc1.*", "encoder.layer.#.intermediate.dense.*"),
			to("blocks.#.mlp.fc2.*", "encoder.layer.#.output.dense.*"),
			to("blocks.#.mlp.fc1.*", "encoder.layer.#.mlp.weights_in.*"), // DINOv2's giant
			to("blocks.#.mlp.fc2.*", "encoder.layer.#.mlp.weights_out.*"),
			to("blocks.#.mlp.*", "encoder.layer.#.mlp.*"),
			to("blocks.#.mlp.*", "layers.#.mlp.*"),
			to("blocks.#.ls1.gamma", "encoder.layer.#.layer_scale1.lambda1"),
			to("blocks.#.ls2.gamma", "encoder.layer.#.layer_scale2.lambda1"),
			to("norm.*", "layernorm.*"),
			to("head.*", "/classifier.*"),
		},
		finish: registers,
	},
	{
		Name: "hf-dinov3", About: "DINOv3 in Hugging Face's transformers",
		prefixes: []string{""}, marks: []string{"embeddings.patch_embeddings.weight", "embeddings.register_tokens", "norm.weight"},
		rules: slices.Concat([]rule{
			drop("embeddings.mask_token"),
			to("cls_token", "embeddings.cls_token"),
			to("reg_token", "embeddings.register_tokens"),
			to("patch_embed.proj.*", "embeddings.patch_embeddings.*"),
		}, hfDINOv3Block("layer.#."), hfDINOv3Block("model.layer.#.")), // the second as the library's fifth version has it in memory
		finish: gated,
	},
	{
		Name: "dinov3", About: "DINOv3's own",
		prefixes: []string{"", "backbone."}, marks: []string{"storage_tokens", "patch_embed.proj.weight", "blocks.0.attn.qkv.weight"},
		rules: []rule{
			// Angles are computed; the norm of local crops is for training alone.
			drop("mask_token", "rope_embed.periods", "local_cls_norm.*", "/dino_head.*", "/ibot_head.*"),
			drop("blocks.#.attn.qkv.bias_mask"),
			to("reg_token", "storage_tokens"),
			to("blocks.#.gamma_1", "blocks.#.ls1.gamma"),
			to("blocks.#.gamma_2", "blocks.#.ls2.gamma"),
			to("blocks.#.mlp.fc1_g.*", "blocks.#.mlp.w1.*"),
			to("blocks.#.mlp.fc1_x.*", "blocks.#.mlp.w2.*"),
			to("blocks.#.mlp.fc2.*", "blocks.#.mlp.w3.*"),
		},
		finish: splitBias,
	},
	{
		Name: "dinov2", About: "DINOv2's own",
		prefixes: []string{"", "backbone."}, marks: []string{"mask_token", "pos_embed", "patch_embed.proj.weight"},
		absent: []string{"decoder_embed.weight"},
		rules: []rule{
			drop("mask_token", "/dino_head.*", "/ibot_head.*"),
			to("reg_token", "register_tokens"),
			to("blocks.#.mlp.fc1.*", "blocks.#.mlp.w12.*"),
			to("blocks.#.mlp.fc2.*", "blocks.#.mlp.w3.*"),
			to("blocks.#.mlp.fc1.*", "blocks.?.#.mlp.w12.*"), // blocks in chunks, as training saves them
			to("blocks.#.mlp.fc2.*", "blocks.?.#.mlp.w3.*"),
			to("blocks.#.*", "blocks.?.#.*"),
		},
		finish: registers,
	},
	{
		Name: "mae", About: "MAE's own, with its decoder",
		prefixes: []string{""}, marks: []string{"mask_token", "decoder_embed.weight", "pos_embed"},
		rules: []rule{drop("mask_token", "decoder_*")},
	},
	{
		Name: "dino", About: "DINO's own, and others whose keys begin with backbone.",
		prefixes: []string{"backbone."}, marks: []string{"cls_token", "blocks.0.attn.qkv.weight"},
	},
	{
		Name: "dino-resnet", About: "DINO's own, with a ResNet",
		prefixes: []string{"backbone."}, marks: []string{"conv1.weight", "layer1.0.conv1.weight"},
	},
	{
		Name: "cifar-resnet", About: "ResNets for CIFAR's images, as akamaster/pytorch_resnet_cifar10 has them",
		prefixes: []string{""}, marks: []string{"conv1.weight", "layer1.0.conv1.weight", "layer3.0.conv1.weight", "linear.weight"},
		absent: []string{"layer4.0.conv1.weight"},
		rules:  []rule{to("fc.*", "linear.*")},
	},
	{
		Name: "openclip-timm", About: "OpenCLIP over one of timm's encoders",
		prefixes: []string{"visual.trunk."}, marks: []string{"patch_embed.proj.weight", "blocks.0.attn.qkv.weight"},
	},
	{
		Name: "ijepa", About: "I-JEPA's own",
		prefixes: []string{""}, marks: []string{"pos_embed", "patch_embed.proj.weight", "blocks.0.attn.qkv.weight"},
		absent: []string{"cls_token", "reg_token", "norm_pre.weight"},
	},
}

// hfDINOv3Block are the rules of a DINOv3's blocks in Hugging Face's library, whose keys begin so.
func hfDINOv3Block(prefix string) []rule {
	return []rule{
		to("blocks.#.norm1.*", prefix+"norm1.*"),
		to("blocks.#.norm2.*", prefix+"norm2.*"),
		to("blocks.#.attn.qkv.weight", prefix+"attention.q_proj.weight", prefix+"attention.k_proj.weight", prefix+"attention.v_proj.weight"),
		to("blocks.#.attn.q_bias", prefix+"attention.q_proj.bias"), // keys have none
		to("blocks.#.attn.v_bias", prefix+"attention.v_proj.bias"),
		to("blocks.#.attn.proj.*", prefix+"attention.o_proj.*"),
		to("blocks.#.gamma_1", prefix+"layer_scale1.lambda1"),
		to("blocks.#.gamma_2", prefix+"layer_scale2.lambda1"),
		to("blocks.#.mlp.fc1_g.*", prefix+"mlp.gate_proj.*"),
		to("blocks.#.mlp.fc1.*", prefix+"mlp.up_proj.*"),
		to("blocks.#.mlp.fc2.*", prefix+"mlp.down_proj.*"),
	}
}

// gated gives the first layer of an MLP the name that it has beside a gate.
func gated(_ *weights.File, recipes []weights.Recipe) ([]weights.Recipe, error) {
	names := make(map[string]bool, len(recipes))
	for _, r := range recipes {
		names[r.Name] = true
	}
	for i, r := range recipes {
		if mlp, rest, ok := strings.Cut(r.Name, ".mlp.fc1."); ok && names[mlp+".mlp.fc1_g."+rest] {
			recipes[i].Name = mlp + ".mlp.fc1_x." + rest
		}
	}
	return recipes, nil
}

// splitBias cuts the biases of queries and values out of the joined one, where a mask says that the keys' is not used: it
// is 0 there, and timm has none.
func splitBias(f *weights.File, recipes []weights.Recipe) ([]weights.Recipe, error) {
	var all []weights.Recipe
	for _, r := range recipes {
		attn, ok := strings.CutSuffix(r.Name, "qkv.bias")
		key := r.Parts[0].Name
		if _, masked := f.Lookup(key + "_mask"); !ok || !masked {
			all = append(all, r)
			continue
		}
		info, _ := f.Lookup(key)
		if len(info.Shape) != 1 || info.Shape[0]%3 != 0 {
			return nil, fmt.Errorf("%v: expected biases of queries, keys and values", info)
		}
		width := info.Shape[0] / 3
		all = append(all,
			weights.Recipe{Name: attn + "q_bias", Parts: []weights.Part{{Name: key, To: width}}},
			weights.Recipe{Name: attn + "v_bias", Parts: []weights.Part{{Name: key, From: 2 * width}}})
	}
	return all, nil
}

// headBias gives the head, a projection without a bias, one of zeros: timm's has
// one.
func headBias(f *weights.File, recipes []weights.Recipe) ([]weights.Recipe, error) {
	for _, r := range recipes {
		if r.Name != "head.weight" {
			continue
		}
		p := r.Parts[0]
		info, _ := f.Lookup(p.Name)
		if len(info.Shape) != 2 {
			return nil, fmt.Errorf("%v is no matrix", info)
		}
		rows := info.Shape[0]
		if p.Transpose {
			rows = info.Shape[1]
		}
		recipes = append(recipes, weights.Recipe{Name: "head.bias", DType: info.DType, Shape: []int64{rows}})
	}
	return recipes, nil
}

// registers gives the class token its position embedding for good, where there
// are registers: timm then embeds the positions of patches alone.
func registers(f *weights.File, recipes []weights.Recipe) ([]weights.Recipe, error) {
	at := make(map[string]int)
	for i, r := range recipes {
		at[r.Name] = i
	}
	cls, ok1 := at["cls_token"]
	pos, ok2 := at["pos_embed"]
	if _, ok := at["reg_token"]; !ok || !ok1 || !ok2 {
		return recipes, nil
	}
	name := recipes[pos].Parts[0].Name
	info, _ := f.Lookup(name)
	if len(info.Shape) != 3 || info.Shape[1] < 1 {
		return nil, errors.New("position embeddings " + info.String() + ": expected three dimensions")
	}
	recipes[cls].Plus = &weights.Part{Name: name, Dim: 1, From: 0, To: 1}
	recipes[pos].Parts[0].Dim, recipes[pos].Parts[0].From = 1, 1
	return recipes, nil
}
