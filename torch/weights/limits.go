package weights

import "errors"

var errTooComplex = errors.New("too many objects for a file of this size")

// budget bounds the memory that a hostile file can make the parser allocate,
// garbage included. It is counted in bytes, roughly, and only downwards.
type budget struct{ left int64 }

func (b *budget) spend(n int64) error {
	if n < 0 || n > b.left {
		b.left = 0
		return errTooComplex
	}
	b.left -= n
	return nil
}

// limits are what listing a file may take. Together they stay within 64 MB over
// the file's size. The shards of an index share theirs, or a thousand small ones
// could ask for 64 MB each.
type limits struct {
	objects   *budget // what pickles and indexes are parsed into
	header    *budget // bytes of safetensors headers, some hundred per tensor
	directory *budget // bytes of zip directories
}

func newLimits(size int64) limits {
	l := limits{&budget{32 << 20}, &budget{2 << 20}, &budget{3 << 20}}
	l.grow(size)
	return l
}

// grow adds the share of size bytes more of files.
func (l limits) grow(size int64) {
	l.objects.left += size / 3
	l.header.left += size / 32
	l.directory.left += size / 16
}
