package images_test

import (
	"context"
	"fmt"

	"github.com/gojepa/gojepa/vision/images"
)

// The labels of Parquet files of the Hugging Face hub have names, which are noted in the files.
func ExampleOpen() {
	ctx := context.Background()
	o := images.DefaultOpen()
	o.Labels = true
	found, err := images.Open(ctx, "testdata/sources/train-*.parquet", o)
	if err != nil {
		fmt.Println(err)
		return
	}
	src, _, err := images.Alike(ctx, found, 0, 1) // all of one depth and number of channels
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := src.Image(ctx, 6)
	if err != nil {
		fmt.Println(err)
		return
	}
	class, _ := src.Label(6)
	caption, _ := src.Caption(6)
	fmt.Println(src.Len(), src.Name(6), m.Channels, m.Height, m.Width, src.Classes()[class], caption)
	// Output: 7 train-00001-of-00002.parquet[1] 3 10 12 dog picture 6, ünïcode
}
