package weights

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// plain renders a value as scripts/golden/weights.py does.
func plain(v any) any {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case bigint:
		return "big"
	case opaque:
		return "long"
	case *list:
		out := make([]any, len(v.items))
		for i, item := range v.items {
			out[i] = plain(item)
		}
		return out
	case *dict:
		pairs := make([]any, len(v.pairs))
		for i, p := range v.pairs {
			pairs[i] = []any{plain(p.key), plain(p.value)}
		}
		return map[string]any{"dict": pairs}
	case *object:
		if v.class == "_codecs.encode" || v.class == "__builtin__.bytes" {
			return "" // how protocols below 3 spell empty bytes
		}
	}
	return v
}

func unpickleAll(p []byte) (any, error) {
	return unpickle(newPickleReader(bytes.NewReader(p), int64(len(p))), newLimits(0).objects, nil)
}

// TestUnpickle compares the machine with Python's on every protocol.
func TestUnpickle(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "pickles.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases [][2]any
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		p, err := hex.DecodeString(c[0].(string))
		if err != nil {
			t.Fatal(err)
		}
		v, err := unpickleAll(p)
		if err != nil {
			t.Errorf("%.200q: %v", p, err)
			continue
		}
		if got := plain(v); !reflect.DeepEqual(got, c[1]) {
			t.Errorf("%.200q: got %v, want %v", p, got, c[1])
		}
		for n := range p {
			if v, err := unpickleAll(p[:n]); err == nil {
				t.Errorf("%.200q cut to %d bytes: got %v, want an error", p, n, v)
			}
		}
	}
	if len(cases) < 200 {
		t.Errorf("only %d cases", len(cases))
	}
}

// TestUnpickleForeign runs opcodes that Python 3 no longer writes, or only for
// objects that mean nothing here.
func TestUnpickleForeign(t *testing.T) {
	for pkl, want := range map[string]string{
		"(K\x01iargparse\nNamespace\n.":                                  "a argparse.Namespace",
		"(cargparse\nNamespace\nK\x01o.":                                 "a argparse.Namespace",
		"\x80\x02cargparse\nNamespace\n)\x81}b.":                         "a argparse.Namespace",
		"\x80\x04cargparse\nNamespace\n)}\x92.":                          "a argparse.Namespace",
		"\x80\x04\x8c\x02os\x8c\x06system\x93.":                          "the name os.system",
		"\x80\x02\x82\x01.":                                              "a registered extension",
		"\x80\x02\x83\x01\x00.":                                          "a registered extension",
		"\x80\x02\x84\x01\x00\x00\x00.":                                  "a registered extension",
		"\x80\x05\x97\x98.":                                              "an out-of-band buffer",
		"\x80\x02K\x01)R.":                                               "an object of an unknown class",
		"\x80\x02ctorch\nSize\n(K\x01K\x02t\x85R.":                       "a list",
		"\x80\x02ccollections\nCounter\n}\x85R.":                         "a dict",
		"\x80\x02ccollections\ndefaultdict\nc__builtin__\nlist\n\x85R.":  "a dict",
		"\x80\x02ccollections\nOrderedDict\n](](K\x01K\x02ee\x85R.":      "a dict",
		"\x80\x02ccollections\nOrderedDict\nK\x01\x85R.":                 "a collections.OrderedDict",
		"\x80\x02ctorch._utils\n_rebuild_new\n)R.":                       "a tensor made by torch._utils._rebuild_new",
		"\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n(cos\nx\nN)NtR.": "a os.x",
		"\x80\x02ctorch._utils\n_rebuild_device_tensor_from_numpy\n)R.":  "a tensor made by torch._utils._rebuild_device_tensor_from_numpy",
		"\x80\x02(K\x01K\x020K\x0121(0K\x03.":                            "an integer",
		"\x80\x02]2K\x01a0.":                                             "a list",
		"\x80\x02](K\x01K\x02\x90.":                                      "a list",
		"\x80\x02\x8f(K\x01\x90(K\x02\x91\x86.":                          "a list",
		"S'text'\n.":                                                     "a string",
		"\x80\x02T\x03\x00\x00\x00abc.":                                  "a string",
		"\x80\x05\x96\x03\x00\x00\x00\x00\x00\x00\x00abc.":               "a string",
		"I01\n.":                    "a boolean",
		"L12345678901234567890L\n.": "an integer",
		"F1e999\n.":                 "a number",
		"\x80\x02Nr\x00\x00\x00\x000j\x00\x00\x00\x00.": "None",
		"Np0\n0g0\n.": "None",
		"\x80\x02ca.b\nc\n)\x81(X\x01\x00\x00\x00kK\x01u(K\x01e.":               "a a.b.c",
		"\x80\x02ccopy_reg\n_reconstructor\n(ca\nb\nc__builtin__\nobject\nNtR.": "a a.b",
	} {
		v, err := unpickleAll([]byte(pkl))
		if err != nil || describe(v) != want {
			t.Errorf("%q: got %s (%v), want %s", pkl, describe(v), err, want)
		}
	}
	for pkl, want := range map[string]string{
		"Ix\n.": "bad integer", "Fx\n.": "bad number", "Sx\n.": "bad string", "px\n.": "bad number",
		"\x80\x02(o.": "without a class", "\x80\x02NN\x93.": "expected a string",
		"c" + strings.Repeat("x", maxString+1):             "more than",
		"\x80\x02ccollections\nOrderedDict\n]K\x01a\x85R.": "no pair",
		"\x80\x02ctorch._utils\n_rebuild_parameter\n)R.":   "no tensor",
		"\x80\x02NQ.": "persistent id",
	} {
		if v, err := unpickleAll([]byte(pkl)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80q: got %v, error %v, want one with %q", pkl, v, err, want)
		}
	}
}
