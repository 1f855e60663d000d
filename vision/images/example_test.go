package images_test

import (
	"context"
	"fmt"
	"os"

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

// A file of 16 bits a channel, with its samples as they are and with a range of one's own.
func ExampleDecode_deep() {
	data, err := os.ReadFile("testdata/grey16.png")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = images.Decode(data, images.DefaultOptions())
	fmt.Println(err)

	o := images.DefaultOptions()
	o.Channels, o.Deep = 0, true // as many channels as the file has
	m, _ := images.Decode(data, o)
	fmt.Printf("%d channel, from %.3f to %.3f\n", m.Channels, m.Float[0], m.Float[len(m.Float)-1])

	o.Stretch, _ = images.ParseStretch("0:10000")
	m, _ = images.Decode(data, o)
	fmt.Printf("%d channel, from %.3f to %.3f\n", m.Channels, m.Float[0], m.Float[len(m.Float)-1])
	// Output:
	// PNG: samples of more than 8 bits a channel: set Deep or AsIs to have them as they are, or Reduce16 to round them to 8 bits
	// 1 channel, from 0.000 to 1.000
	// 1 channel, from 0.000 to 6.554
}
