package vision

import "github.com/gojepa/gojepa/torch"

// The sizes that ViTs come in.
var (
	vitTiny     = vit{width: 192, depth: 12, heads: 3}
	vitSmall    = vit{width: 384, depth: 12, heads: 6}
	vitMedium   = vit{width: 512, depth: 12, heads: 8}
	vitBetwixt  = vit{width: 640, depth: 12, heads: 10}
	vitBase     = vit{width: 768, depth: 12, heads: 12}
	vitPlus     = vit{width: 896, depth: 12, heads: 14}
	vitLarge    = vit{width: 1024, depth: 24, heads: 16}
	vitHuge     = vit{width: 1280, depth: 32, heads: 16}
	vitGiant    = vit{width: 1408, depth: 40, heads: 16, ratio: 48. / 11}
	vitGigantic = vit{width: 1664, depth: 48, heads: 16, ratio: 64. / 13}
)

// cut sets the side of the patches.
func (v vit) cut(patch int) vit { v.patchSize = patch; return v }

// clip is the image encoder of CLIP.
func (v vit) clip() vit { v.preNorm, v.eps = true, 1e-5; return v }

// quick has OpenAI's activation.
func (v vit) quick() vit { v.gelu = quickGelu; return v }

// gap averages patches, without class token and with the last normalisation before the average.
func (v vit) gap() vit { v.noClass, v.average, v.normFirst = true, true, true; return v }

// plainQKV has no biases of queries, keys and values, and layer scale.
func (v vit) plainQKV() vit { v.noQKVBias, v.layerScale = true, 1e-6; return v }

// reg averages patches, with registers instead of the class token and the last normalisation after the average.
func (v vit) reg(n int64) vit {
	v.noClass, v.average, v.patchesPos, v.registers, v.layerScale = true, true, true, n, 1e-5
	return v
}

func (v vit) dinov2() vit { v.layerScale = 1e-5; return v }

// dinov2Reg is DINOv2 with registers.
func (v vit) dinov2Reg() vit { v.registers, v.patchesPos = 4, true; return v.dinov2() }

// rotated is DINOv3, of which timm averages the patches by default; the class token is Spec.Pool "token".
func (v vit) rotated() vit {
	v.patchSize, v.dinov3, v.noQKVBias, v.registers, v.layerScale, v.eps = 16, true, true, 4, 1e-5, 1e-5
	v.average, v.normFirst = true, true
	return v
}

// qkvb has biases of queries and values.
func (v vit) qkvb() vit { v.noQKVBias = false; return v }

// gated has gated MLPs, their width rounded up to a multiple of align.
func (v vit) gated(align int64) vit { v.swiglu, v.align = true, align; return v }

// vitGiant2 is the giant of DINOv2.
var vitGiant2 = vit{width: 1536, depth: 40, heads: 24, ratio: vitGatedRatio, swiglu: true}

// The sizes that Swins come in.
var (
	swinTiny  = swin{layers: [4]int{2, 2, 6, 2}, width: 96, heads: 3}
	swinSmall = swin{layers: [4]int{2, 2, 18, 2}, width: 96, heads: 3}
	swinBase  = swin{layers: [4]int{2, 2, 18, 2}, width: 128, heads: 4}
	swinLarge = swin{layers: [4]int{2, 2, 18, 2}, width: 192, heads: 6}
)

// cut sets the side of all windows.
func (w swin) cut(side int64) swin { return w.cuts(side, side, side, side) }

// cuts sets the side of each stage's windows.
func (w swin) cuts(sides ...int64) swin { w.windows = [4]int64(sides); return w }

// second is version 2, which was pretrained with windows of the given sides, or with its own.
func (w swin) second(trained ...int64) swin { w.v2 = true; copy(w.trained[:], trained); return w }

// mobilenetSmall is the smaller MobileNet V3.
func mobilenetSmall(wide float64) efficientnet {
	return mobilenet(wide, 1024, []inverted{
		{blocks: 1, kernel: 3, stride: 2, ratio: 1, out: 16, weigh: true, relu: true},
		{blocks: 1, kernel: 3, stride: 2, ratio: 4.5, out: 24, relu: true},
		{join: true, blocks: 1, kernel: 3, stride: 1, ratio: 3.67, out: 24, relu: true},
		{blocks: 1, kernel: 5, stride: 2, ratio: 4, out: 40, weigh: true},
		{join: true, blocks: 2, kernel: 5, stride: 1, ratio: 6, out: 40, weigh: true},
		{blocks: 2, kernel: 5, stride: 1, ratio: 3, out: 48, weigh: true},
		{blocks: 3, kernel: 5, stride: 2, ratio: 6, out: 96, weigh: true},
		{blocks: 1, kernel: 1, stride: 1, out: 576},
	})
}

// mobilenetLarge is the larger MobileNet V3.
func mobilenetLarge(wide float64) efficientnet {
	return mobilenet(wide, 1280, []inverted{
		{blocks: 1, kernel: 3, stride: 1, ratio: 1, out: 16, relu: true},
		{blocks: 1, kernel: 3, stride: 2, ratio: 4, out: 24, relu: true},
		{join: true, blocks: 1, kernel: 3, stride: 1, ratio: 3, out: 24, relu: true},
		{blocks: 3, kernel: 5, stride: 2, ratio: 3, out: 40, weigh: true, relu: true},
		{blocks: 1, kernel: 3, stride: 2, ratio: 6, out: 80},
		{join: true, blocks: 1, kernel: 3, stride: 1, ratio: 2.5, out: 80},
		{join: true, blocks: 2, kernel: 3, stride: 1, ratio: 2.3, out: 80},
		{blocks: 2, kernel: 3, stride: 1, ratio: 6, out: 112, weigh: true},
		{blocks: 3, kernel: 5, stride: 2, ratio: 6, out: 160, weigh: true},
		{blocks: 1, kernel: 1, stride: 1, out: 960},
	})
}

func mobilenet(wide float64, last int64, stages []inverted) efficientnet {
	return efficientnet{stages: stages, stem: 16, fixStem: wide < 0.75, wide: wide, act: torch.Tensor.Hardswish, last: last,
		mobile: true}
}

// efficientB is EfficientNet-B0 with more channels and blocks.
func efficientB(wide, deep float64) efficientnet {
	return efficientnet{stem: 32, wide: wide, deep: deep, act: torch.Tensor.Silu, last: 1280, stages: []inverted{
		{blocks: 1, kernel: 3, stride: 1, ratio: 1, out: 16, weigh: true},
		{blocks: 2, kernel: 3, stride: 2, ratio: 6, out: 24, weigh: true},
		{blocks: 2, kernel: 5, stride: 2, ratio: 6, out: 40, weigh: true},
		{blocks: 3, kernel: 3, stride: 2, ratio: 6, out: 80, weigh: true},
		{blocks: 3, kernel: 5, stride: 1, ratio: 6, out: 112, weigh: true},
		{blocks: 4, kernel: 5, stride: 2, ratio: 6, out: 192, weigh: true},
		{blocks: 1, kernel: 3, stride: 1, ratio: 6, out: 320, weigh: true},
	}}
}

// variants is the table of models. Their names and dimensions are timm's, but for the last ones: those for CIFAR's images, which
// timm does not have, and ours.
var variants = []variant{
	{"vit_tiny_patch16_224", 224, vitTiny.cut(16)},
	{"vit_tiny_patch16_384", 384, vitTiny.cut(16)},
	{"vit_small_patch32_224", 224, vitSmall.cut(32)},
	{"vit_small_patch32_384", 384, vitSmall.cut(32)},
	{"vit_small_patch16_224", 224, vitSmall.cut(16)},
	{"vit_small_patch16_384", 384, vitSmall.cut(16)},
	{"vit_small_patch8_224", 224, vitSmall.cut(8)},
	{"vit_base_patch32_224", 224, vitBase.cut(32)},
	{"vit_base_patch32_384", 384, vitBase.cut(32)},
	{"vit_base_patch16_224", 224, vitBase.cut(16)},
	{"vit_base_patch16_384", 384, vitBase.cut(16)},
	{"vit_base_patch8_224", 224, vitBase.cut(8)},
	{"vit_large_patch32_224", 224, vitLarge.cut(32)},
	{"vit_large_patch32_384", 384, vitLarge.cut(32)},
	{"vit_large_patch16_224", 224, vitLarge.cut(16)},
	{"vit_large_patch16_384", 384, vitLarge.cut(16)},
	{"vit_large_patch14_224", 224, vitLarge.cut(14)},
	{"vit_huge_patch14_224", 224, vitHuge.cut(14)},
	{"vit_giant_patch14_224", 224, vitGiant.cut(14)},
	{"vit_gigantic_patch14_224", 224, vitGigantic.cut(14)},

	{"vit_medium_patch16_gap_240", 240, vitMedium.cut(16).gap().plainQKV()},
	{"vit_medium_patch16_gap_256", 256, vitMedium.cut(16).gap().plainQKV()},
	{"vit_medium_patch16_gap_384", 384, vitMedium.cut(16).gap().plainQKV()},
	{"vit_betwixt_patch16_gap_256", 256, vitBetwixt.cut(16).gap().plainQKV()},
	{"vit_base_patch16_gap_224", 224, vit{width: 768, depth: 12, heads: 16}.cut(16).gap()},
	{"vit_huge_patch14_gap_224", 224, vitHuge.cut(14).gap()}, // I-JEPA's
	{"vit_huge_patch16_gap_448", 448, vitHuge.cut(16).gap()},
	{"vit_giant_patch16_gap_224", 224, vitGiant.cut(16).gap()},

	{"vit_wee_patch16_reg1_gap_256", 256, vit{width: 256, depth: 14, heads: 4, ratio: 5}.cut(16).reg(1)},
	{"vit_little_patch16_reg1_gap_256", 256, vit{width: 320, depth: 14, heads: 5, ratio: 5.6}.cut(16).reg(1)},
	{"vit_little_patch16_reg4_gap_256", 256, vit{width: 320, depth: 14, heads: 5, ratio: 5.6}.cut(16).reg(4)},
	{"vit_medium_patch16_reg1_gap_256", 256, vitMedium.cut(16).reg(1)},
	{"vit_medium_patch16_reg4_gap_256", 256, vitMedium.cut(16).reg(4)},
	{"vit_mediumd_patch16_reg4_gap_256", 256, vit{width: 512, depth: 20, heads: 8}.cut(16).reg(4)},
	{"vit_mediumd_patch16_reg4_gap_384", 384, vit{width: 512, depth: 20, heads: 8}.cut(16).reg(4)},
	{"vit_betwixt_patch16_reg1_gap_256", 256, vitBetwixt.cut(16).reg(1)},
	{"vit_betwixt_patch16_reg4_gap_256", 256, vitBetwixt.cut(16).reg(4)},
	{"vit_betwixt_patch16_reg4_gap_384", 384, vitBetwixt.cut(16).reg(4)},

	{"vit_xsmall_patch16_clip_224", 224, vit{width: 256, depth: 10, heads: 4}.cut(16).clip()},
	{"vit_medium_patch32_clip_224", 224, vitMedium.cut(32).clip()},
	{"vit_medium_patch16_clip_224", 224, vitMedium.cut(16).clip()},
	{"vit_betwixt_patch32_clip_224", 224, vitBetwixt.cut(32).clip()},
	{"vit_base_patch32_clip_224", 224, vitBase.cut(32).clip()},
	{"vit_base_patch32_clip_256", 256, vitBase.cut(32).clip()},
	{"vit_base_patch32_clip_384", 384, vitBase.cut(32).clip()},
	{"vit_base_patch32_clip_448", 448, vitBase.cut(32).clip()},
	{"vit_base_patch16_clip_224", 224, vitBase.cut(16).clip()},
	{"vit_base_patch16_clip_384", 384, vitBase.cut(16).clip()},
	{"vit_base_patch16_plus_clip_240", 240, vitPlus.cut(16).clip()},
	{"vit_large_patch14_clip_224", 224, vitLarge.cut(14).clip()},
	{"vit_large_patch14_clip_336", 336, vitLarge.cut(14).clip()},
	{"vit_huge_patch14_clip_224", 224, vitHuge.cut(14).clip()},
	{"vit_huge_patch14_clip_336", 336, vitHuge.cut(14).clip()},
	{"vit_huge_patch14_clip_378", 378, vitHuge.cut(14).clip()},
	{"vit_giant_patch14_clip_224", 224, vitGiant.cut(14).clip()},
	{"vit_gigantic_patch14_clip_224", 224, vitGigantic.cut(14).clip()},
	{"vit_gigantic_patch14_clip_378", 378, vitGigantic.cut(14).clip()},
	{"vit_base_patch32_clip_quickgelu_224", 224, vitBase.cut(32).clip().quick()},
	{"vit_base_patch16_clip_quickgelu_224", 224, vitBase.cut(16).clip().quick()},
	{"vit_large_patch14_clip_quickgelu_224", 224, vitLarge.cut(14).clip().quick()},
	{"vit_large_patch14_clip_quickgelu_336", 336, vitLarge.cut(14).clip().quick()},
	{"vit_huge_patch14_clip_quickgelu_224", 224, vitHuge.cut(14).clip().quick()},
	{"vit_huge_patch14_clip_quickgelu_378", 378, vitHuge.cut(14).clip().quick()},
	{"vit_gigantic_patch14_clip_quickgelu_224", 224, vitGigantic.cut(14).clip().quick()},

	{"vit_small_patch14_dinov2", 518, vitSmall.cut(14).dinov2()},
	{"vit_base_patch14_dinov2", 518, vitBase.cut(14).dinov2()},
	{"vit_large_patch14_dinov2", 518, vitLarge.cut(14).dinov2()},
	{"vit_giant_patch14_dinov2", 518, vitGiant2.cut(14).dinov2()},
	{"vit_small_patch14_reg4_dinov2", 518, vitSmall.cut(14).dinov2Reg()},
	{"vit_base_patch14_reg4_dinov2", 518, vitBase.cut(14).dinov2Reg()},
	{"vit_large_patch14_reg4_dinov2", 518, vitLarge.cut(14).dinov2Reg()},
	{"vit_giant_patch14_reg4_dinov2", 518, vitGiant2.cut(14).dinov2Reg()},

	{"vit_tiny_patch16_dinov3_qkvb", 256, vitTiny.rotated().qkvb()},
	{"vit_small_patch16_dinov3", 256, vitSmall.rotated()},
	{"vit_small_patch16_dinov3_qkvb", 256, vitSmall.rotated().qkvb()},
	{"vit_small_plus_patch16_dinov3", 256, vitSmall.rotated().gated(8)},
	{"vit_small_plus_patch16_dinov3_qkvb", 256, vitSmall.rotated().gated(8).qkvb()},
	{"vit_base_patch16_dinov3", 256, vitBase.rotated()},
	{"vit_base_patch16_dinov3_qkvb", 256, vitBase.rotated().qkvb()},
	{"vit_large_patch16_dinov3", 256, vitLarge.rotated()},
	{"vit_large_patch16_dinov3_qkvb", 256, vitLarge.rotated().qkvb()},
	{"vit_huge_plus_patch16_dinov3", 256, vit{width: 1280, depth: 32, heads: 20}.rotated().gated(8)},
	{"vit_huge_plus_patch16_dinov3_qkvb", 256, vit{width: 1280, depth: 32, heads: 20}.rotated().gated(8).qkvb()},
	{"vit_7b_patch16_dinov3", 256, vit{width: 4096, depth: 40, heads: 32, ratio: 2}.rotated().gated(64)},

	{"resnet18", 224, resnet{layers: [4]int{2, 2, 2, 2}, width: 64}},
	{"resnet26", 224, resnet{layers: [4]int{2, 2, 2, 2}, width: 64, bottleneck: true}},
	{"resnet34", 224, resnet{layers: [4]int{3, 4, 6, 3}, width: 64}},
	{"resnet50", 224, resnet{layers: [4]int{3, 4, 6, 3}, width: 64, bottleneck: true}},
	{"resnet101", 224, resnet{layers: [4]int{3, 4, 23, 3}, width: 64, bottleneck: true}},
	{"resnet152", 224, resnet{layers: [4]int{3, 8, 36, 3}, width: 64, bottleneck: true}},
	{"resnet200", 224, resnet{layers: [4]int{3, 24, 36, 3}, width: 64, bottleneck: true}},
	{"resnet18d", 224, resnet{layers: [4]int{2, 2, 2, 2}, width: 64, d: true}},
	{"resnet26d", 224, resnet{layers: [4]int{2, 2, 2, 2}, width: 64, bottleneck: true, d: true}},
	{"resnet34d", 224, resnet{layers: [4]int{3, 4, 6, 3}, width: 64, d: true}},
	{"resnet50d", 224, resnet{layers: [4]int{3, 4, 6, 3}, width: 64, bottleneck: true, d: true}},
	{"resnet101d", 256, resnet{layers: [4]int{3, 4, 23, 3}, width: 64, bottleneck: true, d: true}},
	{"resnet152d", 256, resnet{layers: [4]int{3, 8, 36, 3}, width: 64, bottleneck: true, d: true}},
	{"resnet200d", 256, resnet{layers: [4]int{3, 24, 36, 3}, width: 64, bottleneck: true, d: true}},
	{"wide_resnet50_2", 224, resnet{layers: [4]int{3, 4, 6, 3}, width: 64, bottleneck: true, inner: 128}},
	{"wide_resnet101_2", 224, resnet{layers: [4]int{3, 4, 23, 3}, width: 64, bottleneck: true, inner: 128}},
	{"resnext50_32x4d", 224, resnet{layers: [4]int{3, 4, 6, 3}, width: 64, bottleneck: true, groups: 32, inner: 4}},
	{"resnext50d_32x4d", 224, resnet{layers: [4]int{3, 4, 6, 3}, width: 64, bottleneck: true, d: true, groups: 32, inner: 4}},
	{"resnext101_32x4d", 224, resnet{layers: [4]int{3, 4, 23, 3}, width: 64, bottleneck: true, groups: 32, inner: 4}},
	{"resnext101_32x8d", 224, resnet{layers: [4]int{3, 4, 23, 3}, width: 64, bottleneck: true, groups: 32, inner: 8}},
	{"resnext101_64x4d", 224, resnet{layers: [4]int{3, 4, 23, 3}, width: 64, bottleneck: true, groups: 64, inner: 4}},

	{"convnext_atto", 224, convnext{layers: [4]int{2, 2, 6, 2}, width: 40, conv: true}},
	{"convnext_atto_ols", 224, convnext{layers: [4]int{2, 2, 6, 2}, width: 40, conv: true, stem: stemTiered}},
	{"convnext_femto", 224, convnext{layers: [4]int{2, 2, 6, 2}, width: 48, conv: true}},
	{"convnext_femto_ols", 224, convnext{layers: [4]int{2, 2, 6, 2}, width: 48, conv: true, stem: stemTiered}},
	{"convnext_pico", 224, convnext{layers: [4]int{2, 2, 6, 2}, width: 64, conv: true}},
	{"convnext_pico_ols", 224, convnext{layers: [4]int{2, 2, 6, 2}, width: 64, conv: true, stem: stemTiered}},
	{"convnext_nano", 224, convnext{layers: [4]int{2, 2, 8, 2}, width: 80, conv: true}},
	{"convnext_nano_ols", 224, convnext{layers: [4]int{2, 2, 8, 2}, width: 80, conv: true, stem: stemOverlap}},
	{"convnext_tiny_hnf", 224, convnext{layers: [4]int{3, 3, 9, 3}, width: 96, conv: true, normFirst: true}},
	{"convnext_tiny", 224, convnext{layers: [4]int{3, 3, 9, 3}, width: 96}},
	{"convnext_small", 224, convnext{layers: [4]int{3, 3, 27, 3}, width: 96}},
	{"convnext_base", 224, convnext{layers: [4]int{3, 3, 27, 3}, width: 128}},
	{"convnext_large", 224, convnext{layers: [4]int{3, 3, 27, 3}, width: 192}},
	{"convnext_large_mlp", 320, convnext{layers: [4]int{3, 3, 27, 3}, width: 192, hidden: 1536}},
	{"convnext_xlarge", 224, convnext{layers: [4]int{3, 3, 27, 3}, width: 256}},
	{"convnext_xxlarge", 256, convnext{layers: [4]int{3, 4, 30, 3}, width: 384, eps: 1e-5}},
	{"convnextv2_atto", 224, convnext{layers: [4]int{2, 2, 6, 2}, width: 40, conv: true, v2: true}},
	{"convnextv2_femto", 224, convnext{layers: [4]int{2, 2, 6, 2}, width: 48, conv: true, v2: true}},
	{"convnextv2_pico", 224, convnext{layers: [4]int{2, 2, 6, 2}, width: 64, conv: true, v2: true}},
	{"convnextv2_nano", 224, convnext{layers: [4]int{2, 2, 8, 2}, width: 80, conv: true, v2: true}},
	{"convnextv2_tiny", 224, convnext{layers: [4]int{3, 3, 9, 3}, width: 96, v2: true}},
	{"convnextv2_small", 224, convnext{layers: [4]int{3, 3, 27, 3}, width: 96, v2: true}},
	{"convnextv2_base", 224, convnext{layers: [4]int{3, 3, 27, 3}, width: 128, v2: true}},
	{"convnextv2_large", 224, convnext{layers: [4]int{3, 3, 27, 3}, width: 192, v2: true}},
	{"convnextv2_huge", 384, convnext{layers: [4]int{3, 3, 27, 3}, width: 352, v2: true}},

	{"swin_tiny_patch4_window7_224", 224, swinTiny.cut(7)},
	{"swin_small_patch4_window7_224", 224, swinSmall.cut(7)},
	{"swin_base_patch4_window7_224", 224, swinBase.cut(7)},
	{"swin_base_patch4_window12_384", 384, swinBase.cut(12)},
	{"swin_large_patch4_window7_224", 224, swinLarge.cut(7)},
	{"swin_large_patch4_window12_384", 384, swinLarge.cut(12)},
	{"swin_s3_tiny_224", 224, swinTiny.cuts(7, 7, 14, 7)},
	{"swin_s3_small_224", 224, swinSmall.cuts(14, 14, 14, 7)},
	{"swin_s3_base_224", 224, swin{layers: [4]int{2, 2, 30, 2}, width: 96, heads: 3}.cuts(7, 7, 14, 7)},
	{"swinv2_tiny_window8_256", 256, swinTiny.cut(8).second()},
	{"swinv2_tiny_window16_256", 256, swinTiny.cut(16).second()},
	{"swinv2_small_window8_256", 256, swinSmall.cut(8).second()},
	{"swinv2_small_window16_256", 256, swinSmall.cut(16).second()},
	{"swinv2_base_window8_256", 256, swinBase.cut(8).second()},
	{"swinv2_base_window16_256", 256, swinBase.cut(16).second()},
	{"swinv2_base_window12_192", 192, swinBase.cut(12).second()},
	{"swinv2_base_window12to16_192to256", 256, swinBase.cut(16).second(12, 12, 12, 6)},
	{"swinv2_base_window12to24_192to384", 384, swinBase.cut(24).second(12, 12, 12, 6)},
	{"swinv2_large_window12_192", 192, swinLarge.cut(12).second()},
	{"swinv2_large_window12to16_192to256", 256, swinLarge.cut(16).second(12, 12, 12, 6)},
	{"swinv2_large_window12to24_192to384", 384, swinLarge.cut(24).second(12, 12, 12, 6)},

	{"mobilenetv3_small_050", 224, mobilenetSmall(0.5)},
	{"mobilenetv3_small_075", 224, mobilenetSmall(0.75)},
	{"mobilenetv3_small_100", 224, mobilenetSmall(1)},
	{"mobilenetv3_large_075", 224, mobilenetLarge(0.75)},
	{"mobilenetv3_large_100", 224, mobilenetLarge(1)},

	{"efficientnet_b0", 224, efficientB(1, 1)},
	{"efficientnet_b1", 240, efficientB(1, 1.1)},
	{"efficientnet_b2", 256, efficientB(1.1, 1.2)},
	{"efficientnet_b3", 288, efficientB(1.2, 1.4)},
	{"efficientnet_b4", 320, efficientB(1.4, 1.8)},
	{"efficientnet_b5", 448, efficientB(1.6, 2.2)},
	{"efficientnet_b6", 528, efficientB(1.8, 2.6)},
	{"efficientnet_b7", 600, efficientB(2, 3.1)},

	{"regnetx_002", 224, regnet{depth: 13, first: 24, slope: 36.44, factor: 2.49, group: 8}},
	{"regnetx_004", 224, regnet{depth: 22, first: 24, slope: 24.48, factor: 2.54, group: 16}},
	{"regnetx_008", 224, regnet{depth: 16, first: 56, slope: 35.73, factor: 2.28, group: 16}},
	{"regnetx_016", 224, regnet{depth: 18, first: 80, slope: 34.01, factor: 2.25, group: 24}},
	{"regnetx_032", 224, regnet{depth: 25, first: 88, slope: 26.31, factor: 2.25, group: 48}},
	{"regnety_002", 224, regnet{depth: 13, first: 24, slope: 36.44, factor: 2.49, group: 8, weigh: true}},
	{"regnety_004", 224, regnet{depth: 16, first: 48, slope: 27.89, factor: 2.09, group: 8, weigh: true}},
	{"regnety_006", 224, regnet{depth: 15, first: 48, slope: 32.54, factor: 2.32, group: 16, weigh: true}},
	{"regnety_008", 224, regnet{depth: 14, first: 56, slope: 38.84, factor: 2.4, group: 16, weigh: true}},
	{"regnety_016", 224, regnet{depth: 27, first: 48, slope: 20.71, factor: 2.65, group: 24, weigh: true}},
	{"regnety_032", 224, regnet{depth: 21, first: 80, slope: 42.63, factor: 2.66, group: 24, weigh: true}},
	{"regnety_040", 224, regnet{depth: 22, first: 96, slope: 31.41, factor: 2.24, group: 64, weigh: true}},
	{"regnety_080", 224, regnet{depth: 17, first: 192, slope: 76.82, factor: 2.19, group: 56, weigh: true}},
	{"regnety_160", 224, regnet{depth: 18, first: 200, slope: 106.23, factor: 2.48, group: 112, weigh: true}},
	{"regnety_320", 224, regnet{depth: 20, first: 232, slope: 115.89, factor: 2.53, group: 232, weigh: true}},

	{"cifar_resnet20", 32, cifarResNet{blocks: 3}},
	{"cifar_resnet32", 32, cifarResNet{blocks: 5}},
	{"cifar_resnet44", 32, cifarResNet{blocks: 7}},
	{"cifar_resnet56", 32, cifarResNet{blocks: 9}},
	{"cifar_resnet110", 32, cifarResNet{blocks: 18}},

	{"wren_nano", 64, wren{layers: [3]int{1, 1, 1}, width: 32}},
	{"wren_tiny", 64, wren{layers: [3]int{1, 2, 2}, width: 48}},
	{"wren_small", 64, wren{layers: [3]int{2, 3, 3}, width: 64}},
}
