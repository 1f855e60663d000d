package images_test

import (
	"fmt"
	"os"

	"github.com/gojepa/gojepa/vision/images"
)

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
	// PNG: samples of more than 8 bits a channel: set Deep to have them as they are, or Reduce16 to round them to 8 bits
	// 1 channel, from 0.000 to 1.000
	// 1 channel, from 0.000 to 6.554
}
