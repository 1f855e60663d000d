package store

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/parquet-go/parquet-go"
)

// groupBytes is about how much of the embeddings a row group holds.
const groupBytes = 32 << 20

// parquetFile has columns embedding, file and label. Parquet itself knows lists of any length only: that this one is fixed
// is in Arrow's own note of the schema, which pyarrow and datasets go by, and the names of classes in that of datasets.
type parquetFile struct {
	layout
	w      *parquet.GenericWriter[any]
	row    parquet.Row
	labels int // column of labels
}

func (f *parquetFile) begin(w io.Writer) error {
	columns := parquet.Group{"embedding": parquet.List(parquet.Leaf(parquet.FloatType))}
	f.labels = 1
	if f.named {
		columns["file"] = parquet.String()
		f.labels = 2
	}
	if f.labelled {
		columns["label"] = parquet.Optional(parquet.Int(64))
	}
	schema, metadata, err := f.notes()
	if err != nil {
		return err
	}
	f.w = parquet.NewGenericWriter[any](w, parquet.NewSchema("embeddings", columns),
		parquet.MaxRowsPerRowGroup(int64(max(1, groupBytes/(4*f.dim)))),
		parquet.KeyValueMetadata("ARROW:schema", schema), parquet.KeyValueMetadata("huggingface", metadata))
	return nil
}

// notes are Arrow's and datasets' of the schema. Fields are in the order of the columns, which is that of their names.
func (f *parquetFile) notes() (schema, metadata string, err error) {
	type feature map[string]any
	features := feature{"embedding": feature{"feature": feature{"dtype": "float32", "_type": "Value"}, "length": f.dim, "_type": "Sequence"}}
	item := arrow.Field{Name: "element", Type: arrow.PrimitiveTypes.Float32}
	fields := []arrow.Field{{Name: "embedding", Type: arrow.FixedSizeListOfField(int32(f.dim), item)}}
	if f.named {
		fields = append(fields, arrow.Field{Name: "file", Type: arrow.BinaryTypes.String})
		features["file"] = feature{"dtype": "string", "_type": "Value"}
	}
	if f.labelled {
		fields = append(fields, arrow.Field{Name: "label", Type: arrow.PrimitiveTypes.Int64, Nullable: true})
		features["label"] = feature{"dtype": "int64", "_type": "Value"}
		if f.classes != nil {
			features["label"] = feature{"names": f.classes, "_type": "ClassLabel"}
		}
	}
	text, err := json.Marshal(feature{"info": feature{"features": features}})
	if err != nil {
		return "", "", err
	}
	var b bytes.Buffer
	note := arrow.MetadataFrom(map[string]string{"huggingface": string(text)})
	w := ipc.NewWriter(&b, ipc.WithSchema(arrow.NewSchema(fields, &note)))
	if err := w.Close(); err != nil {
		return "", "", fmt.Errorf("schema: %w", err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes()), string(text), nil
}

func (f *parquetFile) add(r Rows, n int) error {
	for i := range n {
		f.row = f.row[:0]
		for j, v := range r.X[i*f.dim : (i+1)*f.dim] {
			f.row = append(f.row, parquet.FloatValue(v).Level(min(j, 1), 1, 0))
		}
		if f.named {
			f.row = append(f.row, parquet.ValueOf(r.Names[i]).Level(0, 0, 1))
		}
		if f.labelled {
			v := parquet.ValueOf(nil).Level(0, 0, f.labels)
			if l := r.Labels[i]; l >= 0 {
				v = parquet.Int64Value(int64(l)).Level(0, 1, f.labels)
			}
			f.row = append(f.row, v)
		}
		if _, err := f.w.WriteRows([]parquet.Row{f.row}); err != nil {
			return err
		}
	}
	return nil
}

func (f *parquetFile) finish() error { return f.w.Close() }

// readParquet reads a shard that parquetFile wrote.
func readParquet(r io.ReaderAt, size int64, dim int, part *Part) error {
	file, err := parquet.OpenFile(r, size)
	if err != nil {
		return err
	}
	leaves := map[string]int{}
	for _, path := range file.Schema().Columns() {
		leaf, _ := file.Schema().Lookup(path...)
		leaves[path[0]] = leaf.ColumnIndex
	}
	embedding, ok := leaves["embedding"]
	if !ok {
		return fmt.Errorf("no column embedding")
	}
	column := func(name string) int {
		if i, ok := leaves[name]; ok {
			return i
		}
		return -1
	}
	names, labels := column("file"), column("label")
	rows := parquet.NewReader(file)
	defer rows.Close()
	buf := make([]parquet.Row, 64)
	for at := int64(0); ; {
		n, err := rows.ReadRows(buf)
		for _, row := range buf[:n] {
			got := 0
			for _, v := range row {
				switch v.Column() {
				case embedding:
					if v.Kind() != parquet.Float {
						return fmt.Errorf("row %d: column embedding holds %s, expected float32", at, v.Kind())
					}
					part.X = append(part.X, v.Float())
					got++
				case names:
					part.Names = append(part.Names, string(v.ByteArray()))
				case labels:
					l := -1
					if !v.IsNull() {
						l = int(v.Int64())
					}
					part.Labels = append(part.Labels, l)
				}
			}
			if got != dim {
				return fmt.Errorf("row %s: an embedding of %d numbers, expected %d", strconv.FormatInt(at, 10), got, dim)
			}
			at++
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
