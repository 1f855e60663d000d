package gotchbridge

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"

	gotchnn "github.com/sugarme/gotch/nn"

	"github.com/gojepa/gojepa/torch"
)

// ImportVarStore returns the variables of vs as parameters, sharing memory: training either trains both. Variables that
// require no gradient, frozen ones included, become buffers. The order is that of the names, as a VarStore has none. The
// caller closes the result, which leaves vs as it was.
//
// After [torch.Params.Flatten] the gradients belong to gojepa: a gotch optimiser that then unsets them takes them away
// from gojepa's, so use one or the other.
//
// The error names the variable that cannot be trained, such as one that VarStore.ToDevice or ToDType converted, which is
// no leaf any more.
func ImportVarStore(s *torch.Scope, vs *gotchnn.VarStore) (*torch.Params, error) {
	defer runtime.KeepAlive(vs) // or its tensors may be finalized meanwhile
	vars := vs.Variables()
	names := slices.Sorted(maps.Keys(vars))
	tensors := make([]torch.Tensor, len(names))
	dtype := torch.Float32
	for i, name := range slices.Backward(names) {
		v := vars[name]
		tensors[i] = s.FromHandle(v.Ctensor())
		if d := tensors[i].DType(); d.IsFloat() {
			dtype = d // in the end that of the first
		}
	}
	p := torch.NewParams(0, dtype)
	for i, name := range names {
		if err := p.Adopt(name, tensors[i]); err != nil {
			p.Close()
			return nil, fmt.Errorf("gotchbridge: VarStore: %w", err)
		}
	}
	return p, nil
}

// ExportParams adds the parameters and buffers of p to vs under their names, sharing memory: training either trains both.
// Call [torch.Params.Flatten] first if gojepa is to train them: it moves data, and although the variables of vs follow,
// views that gotch layers made of them, as gotch's Linear does, would not.
//
// The error names an entry that vs has already; vs is unchanged then.
func ExportParams(s *torch.Scope, p *torch.Params, vs *gotchnn.VarStore) error {
	defer runtime.KeepAlive(vs)
	have := vs.Variables()
	for _, q := range p.All() {
		if _, ok := have[q.Name]; ok {
			return fmt.Errorf("gotchbridge: the VarStore has a variable %q already", q.Name)
		}
	}
	for _, q := range p.All() {
		path := vs.Root()
		parts := strings.Split(q.Name, gotchnn.SEP)
		for _, part := range parts[:len(parts)-1] {
			path = path.Sub(part)
		}
		kind := "parameter"
		if q.Buffer {
			kind = "buffer"
		}
		t := Export(s.Use(q.Value))
		_, err := path.Add(parts[len(parts)-1], t, !q.Buffer, gotchnn.WithVarType(kind))
		t.MustDrop() // Add took a reference of its own
		if err != nil {
			return fmt.Errorf("gotchbridge: adding %q to the VarStore: %w", q.Name, err)
		}
	}
	return nil
}
