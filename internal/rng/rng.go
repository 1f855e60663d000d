// Package rng derives independent random streams from (seed, purpose, counters).
//
// Everything random in gojepa (slices, drop path, views, data order, initial weights) is drawn from a stream that is
// named by what it is for and by the step or sample it belongs to. A draw then depends neither on the number of
// workers nor on what was drawn before, so a run that is resumed, or spread over devices, sees the same numbers and
// no generator state needs saving.
package rng

import (
	"encoding/binary"
	"math/rand/v2"
)

// Purpose separates streams that share a seed and counters.
type Purpose uint32

// The purposes in use. Their values are part of what makes a run repeatable: append, never renumber.
const (
	Weights    Purpose = iota + 1 // initial weights; counter: index of the parameter
	Order                         // order of samples; counter: epoch
	Views                         // augmentation; counters: epoch, sample
	Slices                        // directions of SIGReg; counters: step, row
	DropPath                      // stochastic depth; counters: step, layer
	Probe                         // evaluation: probe initialisation, splits
	Sample                        // subsets of a collection
	Simulation                    // samples of a known distribution; counter: number of the set
	Retry                         // the seed of a run that diverged and stepped back; counter: how often it has
	Search                        // values of a random search; counter: hash of what is searched
	Resample                      // bootstrap; counter: of steps 0, of runs 1
	Texts                         // augmentation of texts; counters: epoch, sample·2¹⁶ + view
)

// New returns the stream named by seed, purpose and up to two counters. The generator is ChaCha8, keyed by that name:
// equal names give equal streams on every platform, and different names independent ones.
func New(seed uint64, purpose Purpose, a, b uint64) *rand.Rand {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[0:], seed)
	binary.LittleEndian.PutUint64(key[8:], uint64(purpose))
	binary.LittleEndian.PutUint64(key[16:], a)
	binary.LittleEndian.PutUint64(key[24:], b)
	return rand.New(rand.NewChaCha8(key))
}
