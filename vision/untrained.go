package vision

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/gojepa/gojepa/torch"
)

// Untrained makes an encoder as [Inspect] says it to be, on a thread of its own, with timm's initial weights drawn from seed.
// What info leaves at 0 is the model's own. The caller closes it.
func Untrained(info FileInfo, seed uint64, o torch.Options) (*Model, error) {
	spec := info.Spec
	spec.ImageSize = cmp.Or(info.ImageSize, spec.ImageSize)
	if spec.Name == TorchScript {
		return nil, errors.New("vision: a TorchScript module has no initial weights: expected the name of a model, or a file of weights")
	}
	spec, err := spec.Complete()
	if err != nil {
		return nil, err
	}
	m := &Model{Size: spec.ImageSize, Mean: info.Mean, Std: info.Std}
	if len(m.Mean) == 0 && len(m.Std) == 0 {
		m.Mean, m.Std = DefaultMeanStd(spec.Channels)
	}
	if err := CheckMeanStd(m.Mean, m.Std, spec.Channels); err != nil {
		return nil, fmt.Errorf("vision: untrained %s: %w", spec.Name, err)
	}
	if m.Thread, err = torch.Start(o); err != nil {
		return nil, err
	}
	if failed := m.Thread.Do(context.Background(), func(s *torch.Scope) { m.Encoder, err = New(s, spec, seed, torch.Float32) }); failed != nil {
		err = failed
	}
	if err != nil {
		m.Thread.Close()
		return nil, err
	}
	return m, nil
}
