package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gojepa/gojepa/eval/store"
)

func ExampleWrite() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "photos.parquet")
	o := store.Options{Path: path, Images: 3, ShardRows: 2, Dim: 2, Named: true}
	_, err = store.Write(context.Background(), o, func(_ context.Context, from, to int, add func(store.Rows) error) ([]store.LeftOut, error) {
		for i := from; i < to; i++ {
			row := store.Rows{X: []float32{float32(i), 1}, Names: []string{fmt.Sprint(i, ".jpg")}}
			if err := add(row); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
	if err != nil {
		panic(err)
	}
	set, err := store.Open(path)
	if err != nil {
		panic(err)
	}
	all, err := set.Load(context.Background())
	if err != nil {
		panic(err)
	}
	fmt.Println(len(set.Shards), "files,", all.N, "rows, the last of", all.Names[2], all.Row(2))
	// Output: 2 files, 3 rows, the last of 2.jpg [2 1]
}
