package weights

import (
	"slices"
	"strings"
	"testing"
)

// ones pickles a float tensor of one dimension over the storage of ptOf and legacyOf.
var ones = tensorPickle("K\x04", "K\x00", "K\x04\x85", "K\x01\x85")

// pickled is a dict of pickled values.
func pickled(pairs ...string) string {
	var b strings.Builder
	b.WriteString("}")
	for i := 0; i < len(pairs); i += 2 {
		b.WriteString("X" + string([]byte{byte(len(pairs[i])), 0, 0, 0}) + pairs[i] + pairs[i+1] + "s")
	}
	return b.String()
}

// TestNestedKeys names every key under which a state dict is looked for, with and without what trainers save beside it.
func TestNestedKeys(t *testing.T) {
	keys := []string{
		"state_dict", "model", "teacher", "target_encoder", "model_ema", "state_dict_ema", "ema_state_dict", "ema",
		"model_state_dict", "model_state", "encoder", "student", "backbone", "net", "network", "module", "weights", "params",
	}
	for _, key := range keys {
		state := pickled("w", ones, "module.b", ones)
		for what, file := range map[string]string{
			"alone":         pickled(key, state),
			"in a run":      pickled("epoch", "K\x03", "optimizer", pickled("state", pickled("exp_avg", ones)), "best", "G?\xe0\x00\x00\x00\x00\x00\x00", key, state),
			"in state":      pickled("epoch", "K\x03", "state_dict", pickled(key, state)),
			"behind a loss": pickled("criterion", pickled("weight", ones), "loss", pickled("w", ones), key, state),
		} {
			want := key
			if what == "in state" {
				want = "state_dict." + key
			}
			for format, b := range map[string][]byte{"zip": ptOf("\x80\x02" + file + "."), "legacy": legacyOf("\x80\x02" + file + ".")} {
				f := openMemory(t, b)
				if f.Key() != want || len(f.Tensors()) != 2 {
					t.Errorf("%s %s, %s: key %q with %v, want %q", key, what, format, f.Key(), f.Tensors(), want)
				}
			}
		}
	}
	for _, c := range []struct{ keys, want string }{
		{"model model_ema", "model_ema"}, {"state_dict state_dict_ema", "state_dict_ema"}, {"student teacher", "teacher"},
		{"encoder predictor target_encoder", "target_encoder"}, {"state_dict ema", "ema"}, {"backbone state_dict", "state_dict"},
		{"generator", "generator"},
	} {
		var pairs []string
		for _, key := range strings.Fields(c.keys) {
			pairs = append(pairs, key, pickled("w", ones))
		}
		for range 2 {
			if f := openMemory(t, ptOf("\x80\x02"+pickled(pairs...)+".")); f.Key() != c.want {
				t.Errorf("%s: took %s, want %s", c.keys, f.Key(), c.want)
			}
			for i := 0; i+3 < len(pairs); i += 2 { // the order does not count
				pairs[i], pairs[i+2] = pairs[i+2], pairs[i]
			}
		}
	}
}

// TestForeignObjectsAreSkipped: a call in a pickle is a thing that is named, and nothing is called.
func TestForeignObjectsAreSkipped(t *testing.T) {
	file := pickled("w", ones,
		"code", "cposix\nsystem\nX\x05\x00\x00\x00touch\x85R",
		"args", "cargparse\nNamespace\n)\x81"+pickled("lr", "K\x01")+"b",
		"reduced", "c__builtin__\neval\nX\x01\x00\x00\x001\x85R"+pickled("w", ones)+"b")
	for format, b := range map[string][]byte{"zip": ptOf("\x80\x02" + file + "."), "legacy": legacyOf("\x80\x02" + file + ".")} {
		f := openMemory(t, b)
		var skipped []string
		for _, s := range f.Skipped() {
			skipped = append(skipped, s.Name+" "+s.What)
		}
		want := []string{"code a posix.system", "args a argparse.Namespace", "reduced a __builtin__.eval"}
		if !slices.Equal(skipped, want) || f.Tensors()[0].Name != "w" {
			t.Errorf("%s: %v, skipped %q, want %q", format, f.Tensors(), skipped, want)
		}
	}
}
