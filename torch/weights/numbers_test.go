package weights

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// numberList is a list of numbers in which null is NaN and infinities are texts.
type numberList []float64

func (l *numberList) UnmarshalJSON(b []byte) error {
	var items []any
	if err := json.Unmarshal(b, &items); err != nil {
		return err
	}
	for _, item := range items {
		switch v := item.(type) {
		case float64:
			*l = append(*l, v)
		case string:
			*l = append(*l, math.Inf(len("inf")-len(v))) // "inf" or "-inf"
		default:
			*l = append(*l, math.NaN())
		}
	}
	return nil
}

// same reports whether two numbers have equal bits, or are NaN both.
func same(a, b float64) bool {
	return math.Float64bits(a) == math.Float64bits(b) || math.IsNaN(a) && math.IsNaN(b)
}

// TestNumbers compares what bits stand for, and how floats are rounded, with PyTorch.
func TestNumbers(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "numbers.json"))
	if err != nil {
		t.Fatal(err)
	}
	var g struct {
		Values, Rounded map[string]numberList
		Doubles         numberList
	}
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	for name, want := range g.Values {
		d, err := ParseDType(name)
		if err != nil {
			t.Fatal(err)
		}
		var data []byte
		for i := range want {
			if d.Size() == 1 {
				data = append(data, byte(i))
			} else {
				data = binary.LittleEndian.AppendUint16(data, uint16(61*i))
			}
		}
		got := d.Float64s(nil, data)
		if len(got) != len(want) {
			t.Fatalf("%v: %d numbers of %d", d, len(got), len(want))
		}
		for i := range want {
			if !same(got[i], want[i]) {
				t.Errorf("%v: bits %d are %g, want %g", d, i, got[i], want[i])
			}
		}
	}
	for name, want := range g.Rounded {
		d, err := ParseDType(name)
		if err != nil {
			t.Fatal(err)
		}
		got := d.Float64s(nil, d.appendRounded(nil, g.Doubles))
		for i := range want {
			if !same(got[i], want[i]) {
				t.Errorf("%v: %g is rounded to %g, want %g", d, g.Doubles[i], got[i], want[i])
			}
		}
	}
}

func TestFloat64s(t *testing.T) {
	le := binary.LittleEndian
	for _, c := range []struct {
		d    DType
		data []byte
		want []float64
	}{
		{Bool, []byte{0, 1}, []float64{0, 1}},
		{U8, []byte{255}, []float64{255}},
		{I8, []byte{255}, []float64{-1}},
		{I32, le.AppendUint32(nil, 0xfffffffe), []float64{-2}},
		{U32, le.AppendUint32(nil, 0xfffffffe), []float64{0xfffffffe}},
		{I64, le.AppendUint64(nil, 1<<63), []float64{-1 << 63}},
		{U64, le.AppendUint64(nil, 1<<63), []float64{1 << 63}},
		{F64, le.AppendUint64(nil, math.Float64bits(0.1)), []float64{0.1}},
		{F4x2, []byte{0x1f, 0x72}, []float64{-6, 0.5, 1, 6}},
		{C32, []byte{0, 0x3c, 0, 0xc0}, []float64{1, -2}},
		{C64, le.AppendUint32(le.AppendUint32(nil, math.Float32bits(1.5)), math.Float32bits(-3)), []float64{1.5, -3}},
		{C128, le.AppendUint64(le.AppendUint64(nil, math.Float64bits(1.5)), math.Float64bits(-3)), []float64{1.5, -3}},
		{F32, []byte{1, 2, 3}, nil}, // not a whole element
		{Invalid, []byte{1}, nil},
	} {
		if got := c.d.Float64s(nil, c.data); !slices.Equal(got, c.want) {
			t.Errorf("%v %x: %v, want %v", c.d, c.data, got, c.want)
		}
	}
}

// TestEntryAs rounds what is written in odd pieces.
func TestEntryAs(t *testing.T) {
	values := []float64{0, 1, -2.5, 65504, 1e-7, 1.0009765625}
	write := func(w io.Writer) error {
		data := F32.appendRounded(nil, values)
		for _, n := range []int{1, 2, 4, 7, len(data) - 14} {
			if _, err := w.Write(data[:n]); err != nil {
				return err
			}
			data = data[n:]
		}
		return nil
	}
	e := Entry{Info{"w", F32, []int64{6}}, write}
	for _, d := range []DType{F16, BF16, F32, F64} {
		as, err := e.As(d)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := writeData(&b, as); err != nil {
			t.Fatal(err)
		}
		if want := d.appendRounded(nil, F32.Float64s(nil, F32.appendRounded(nil, values))); as.DType != d || !bytes.Equal(b.Bytes(), want) {
			t.Errorf("%v: %x, want %x", d, b.Bytes(), want)
		}
	}
	ints := NewEntry(Info{"i", I64, []int64{1}}, make([]byte, 8))
	if as, err := ints.As(F16); err != nil || as.DType != I64 {
		t.Errorf("an integer became %v: %v", as.DType, err)
	}
	if _, err := e.As(I64); err == nil || !strings.Contains(err.Error(), `key "w": to int64`) {
		t.Errorf("to int64: got error %v", err)
	}
	boom := Entry{Info{"w", F32, []int64{6}}, write}
	as, err := boom.As(F16)
	if err != nil {
		t.Fatal(err)
	}
	if err := writeData(&fullWriter{3}, as); err == nil {
		t.Error("a full disk: want an error")
	}
}
