package optim

import (
	"maps"
	"math"
	"slices"

	"github.com/gojepa/gojepa/torch"
)

// ScaleLayers gives the layers of a network their share of the learning rate: all of it the last, and the others less by the
// factor decay from each to the one before (Bao et al., arXiv 2106.08254; timm's param_groups_layer_decay). layers says in which
// layer parameters are, 0 being the first; those that it does not name are in the last. It is for before an optimiser is made.
func ScaleLayers(params *torch.Params, layers map[string]int, decay float64) {
	last := 0
	if len(layers) > 0 {
		last = slices.Max(slices.Collect(maps.Values(layers)))
	}
	for _, p := range params.Trained() {
		layer, ok := layers[p.Name]
		if !ok {
			layer = last
		}
		p.LRScale = math.Pow(decay, float64(last-layer))
	}
}
