package weights

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// derivable is a file of small tensors of bytes and floats.
func derivable(t *testing.T) *File {
	t.Helper()
	b := stOf(
		`{"a":{"dtype":"U8","shape":[2,2],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[1,2],"data_offsets":[4,6]},`+
			`"c":{"dtype":"I8","shape":[1,2],"data_offsets":[6,8]},"f":{"dtype":"F32","shape":[1],"data_offsets":[8,12]},`+
			`"g":{"dtype":"F32","shape":[2],"data_offsets":[12,20]}}`,
		"\x01\x02\x03\x04\x05\x06\x07\x08\x00\x00\x80\x3f\x00\x00\x00\x40\x00\x00\x40\x40")
	f, err := New(bytes.NewReader(b), int64(len(b)), "small", Options{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestDerive(t *testing.T) {
	part := func(names ...string) (parts []Part) {
		for _, n := range names {
			parts = append(parts, Part{Name: n})
		}
		return parts
	}
	for _, c := range []struct {
		r    Recipe
		want string // the tensor and its bytes, or part of the error
	}{
		{Recipe{Parts: part("a")}, "uint8[2 2] 01020304"},
		{Recipe{Parts: part("a", "b", "a")}, "uint8[5 2] 01020304050601020304"},
		{Recipe{Parts: part("b"), Shape: []int64{2, 1, 1}}, "uint8[2 1 1] 0506"},
		{Recipe{Parts: []Part{{Name: "a", Transpose: true}}}, "uint8[2 2] 01030204"},
		{Recipe{Parts: []Part{{Name: "a", Transpose: true}, {Name: "b"}}}, "uint8[3 2] 010302040506"},
		{Recipe{Parts: []Part{{Name: "a", Dim: 0, From: 1}}}, "uint8[1 2] 0304"},
		{Recipe{Parts: []Part{{Name: "a", Dim: 1, To: 1}}}, "uint8[2 1] 0103"},
		{Recipe{Parts: part("f"), Plus: &Part{Name: "g", From: 1}}, "float32[1] 00008040"},
		{Recipe{DType: U8, Shape: []int64{3}}, "uint8[3] 000000"},
		{Recipe{Parts: part("x")}, "there is no x"},
		{Recipe{Parts: part("a", "c")}, "does not fit behind"},
		{Recipe{Parts: part("a", "f")}, "does not fit behind"},
		{Recipe{Parts: part("b"), Shape: []int64{3}}, "uint8[3] of"},
		{Recipe{Parts: part("b"), Shape: []int64{-2, -1}}, "negative dimension"},
		{Recipe{Parts: []Part{{Name: "f", Transpose: true}}}, "is no matrix"},
		{Recipe{Parts: []Part{{Name: "a", Dim: 2, From: 1}}}, "has no dimension 2"},
		{Recipe{Parts: []Part{{Name: "a", From: 3}}}, "places 3 to 2"},
		{Recipe{Parts: []Part{{Name: "a", To: 3}}}, "places 0 to 3"},
		{Recipe{Parts: part("a"), Plus: &Part{Name: "a"}}, "cannot be added"},
		{Recipe{Parts: part("f"), Plus: &Part{Name: "g"}}, "cannot be added"},
		{Recipe{Parts: part("f"), Plus: &Part{Name: "x"}}, "there is no x"},
		{Recipe{Parts: part("a", "b"), Plus: &Part{Name: "b"}}, "put together already"},
		{Recipe{Shape: []int64{3}}, "invalid dtype"},
		{Recipe{DType: U8, Shape: []int64{1 << 40}}, "more than the whole file"},
	} {
		c.r.Name = "made"
		d, err := derivable(t).Derive([]Recipe{c.r})
		if err != nil {
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), `small: key "made"`) {
				t.Errorf("%+v: got error %v, want %s", c.r, err, c.want)
			}
			continue
		}
		data, err := d.Read("made")
		if err != nil {
			t.Fatal(err)
		}
		info, _ := d.Lookup("made")
		if got := fmt.Sprintf("%v%v %x", info.DType, info.Shape, data); got != c.want {
			t.Errorf("%+v: %s, want %s", c.r, got, c.want)
		}
	}
}

// TestDeriveAgain makes files of what has been made.
func TestDeriveAgain(t *testing.T) {
	f := derivable(t)
	d, err := f.Derive([]Recipe{{Name: "ab", Parts: []Part{{Name: "a"}, {Name: "b"}}}, {Name: "row", Parts: []Part{{Name: "b"}}, Shape: []int64{2}}})
	if err != nil {
		t.Fatal(err)
	}
	e, err := Mapping{Rename: [][2]string{{"a", "x."}}}.Apply(d)
	if err != nil {
		t.Fatal(err)
	}
	data, err := e.Read("x.b")
	if err != nil || !bytes.Equal(data, []byte{1, 2, 3, 4, 5, 6}) {
		t.Errorf("%x, %v", data, err)
	}
	if info, _ := e.Lookup("row"); !slices.Equal(info.Shape, []int64{2}) {
		t.Errorf("%v: the shape is lost", info)
	}
	for _, p := range [][]Part{{{Name: "ab"}, {Name: "ab"}}, {{Name: "ab", From: 1}}, {{Name: "row", From: 1}}} {
		if _, err := d.Derive([]Recipe{{Name: "z", Parts: p}}); err == nil || !strings.Contains(err.Error(), "put together already") {
			t.Errorf("%v: got error %v", p, err)
		}
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if _, err := f.Read("a"); err != nil {
		t.Errorf("after closing what was made: %v", err)
	}
}

func TestMapping(t *testing.T) {
	for _, c := range []struct {
		m    Mapping
		want string
	}{
		{Mapping{}, "blocks.0.bias blocks.0.weight bn.bias bn.num_batches_tracked bn.running_mean bn.running_var bn.weight conv.weight mask"},
		{Mapping{Prefix: "bn."}, "bias num_batches_tracked running_mean running_var weight"},
		{Mapping{Prefix: "bn.", Drop: []string{"running_", "num"}}, "bias weight"},
		{Mapping{Drop: []string{"bn.", "blocks."}, Rename: [][2]string{{"conv.", "stem."}, {"c", "d"}}}, "mask stem.weight"},
		{Mapping{Prefix: "x."}, "no key is left of 9"},
		{Mapping{Rename: [][2]string{{"blocks.0.bias", "mask"}}}, `key "mask": comes twice`},
	} {
		f, err := Open(filepath.Join("testdata", "ddp.pt"))
		if err != nil {
			t.Fatal(err)
		}
		g, err := c.m.Apply(f)
		if err != nil {
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%+v: got error %v, want %s", c.m, err, c.want)
			}
		} else {
			var names []string
			for _, info := range g.Tensors() {
				names = append(names, info.Name)
			}
			slices.Sort(names)
			if got := strings.Join(names, " "); got != c.want {
				t.Errorf("%+v: %s, want %s", c.m, got, c.want)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ParseRename([]string{"a=b", "c"}); err == nil || !strings.Contains(err.Error(), `"c"`) {
		t.Errorf("got error %v", err)
	}
	pairs, err := ParseRename([]string{"a.=", "fc.=head."})
	if err != nil || !slices.Equal(pairs, [][2]string{{"a.", ""}, {"fc.", "head."}}) {
		t.Errorf("%q, %v", pairs, err)
	}
}
