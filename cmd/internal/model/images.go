package model

import (
	"context"
	"fmt"

	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/vision/images"
)

// OpenImages opens a collection for an encoder that takes images of so many channels: alike, and deep if some are. set has
// the last word on how it is opened.
func OpenImages(ctx context.Context, path string, c config.Collection, channels int, set func(*images.OpenOptions)) (*images.UniformSource, error) {
	o, err := c.Options()
	if err != nil {
		return nil, err
	}
	o.Channels = channels
	set(&o)
	found, err := images.Open(ctx, path, o)
	if err != nil {
		return nil, err
	}
	src, _, err := images.Alike(ctx, found, channels, 0)
	if err != nil {
		return nil, fmt.Errorf("images of %s: %w", path, err)
	}
	return src, nil
}

// CheckImages reports flags that no collection can be opened by.
func CheckImages(c config.Collection) error {
	if _, err := c.Options(); err != nil {
		return fmt.Errorf("--%w", err)
	}
	return nil
}
