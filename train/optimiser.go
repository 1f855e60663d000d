package train

import (
	"fmt"
	"slices"

	"github.com/gojepa/gojepa/lejepa"
	"github.com/gojepa/gojepa/text"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/optim"
	"github.com/gojepa/gojepa/train/config"
)

// newOptimiser makes the optimiser that the configuration names, of encoders and projectors.
func (r *run) newOptimiser(s *torch.Scope) (optim.Optimiser, error) {
	var all []*torch.Params
	for _, p := range r.parts() {
		all = append(all, p.params)
	}
	c := r.cfg.Optim
	if err := r.scaleLayers(); err != nil {
		return nil, err
	}
	adamw := optim.Config{WeightDecay: c.WeightDecay.Or(0), Beta1: c.Betas[0], Beta2: c.Betas[1], Eps: c.Eps}
	switch c.Name {
	case config.LARS:
		lars := optim.LARSConfig{WeightDecay: c.WeightDecay.Or(0), Momentum: c.Momentum.Or(0), Trust: c.Trust, Eps: c.Eps}
		return optim.NewLARS(s, lars, all...), nil
	case config.Muon:
		muon := optim.MuonConfig{AdamW: adamw, Momentum: c.Momentum.Or(0), Original: c.MuonScale == "original", DType: r.precision()}
		for _, m := range r.joint() {
			in, out := matrices(m.Encoder.Params()), matrices(m.Projector.Params())
			muon.Others = slices.Concat(muon.Others, in[:min(inputs(m.Encoder), len(in))], out[max(0, len(out)-1):])
		}
		return optim.NewMuon(s, muon, all...), nil
	case config.ScheduleFree:
		return optim.NewScheduleFree(s, adamw, all...), nil
	}
	return optim.NewAdamW(s, adamw, all...), nil
}

// inputs is how many of an encoder's first matrices are its input: of texts those of words, positions and types.
func inputs(e lejepa.Encoder) int {
	if _, ok := e.(*text.Encoder); ok {
		return 3
	}
	return 1
}

// matrices are the parameters that weight decay applies to, which a network goes through in their order.
func matrices(p *torch.Params) (all []*torch.Param) {
	for _, q := range p.Trained() {
		if q.Decay {
			all = append(all, q)
		}
	}
	return all
}

// scaleLayers gives the encoder's layers their share of the learning rate, by optim.layer_decay. The projector has all of it.
func (r *run) scaleLayers() error {
	decay := r.cfg.Optim.LayerDecay
	if decay == 1 {
		return nil
	}
	var layers map[string]int
	if e, ok := r.model.Encoder.(interface{ Layers() map[string]int }); ok {
		layers = e.Layers()
	}
	if len(layers) == 0 {
		return fmt.Errorf("optim.layer_decay: %g, expected 1, as the layers of %s are not known", decay, r.encoderName())
	}
	optim.ScaleLayers(r.model.Encoder.Params(), layers, decay)
	return nil
}
