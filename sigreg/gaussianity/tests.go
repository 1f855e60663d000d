package gaussianity

import (
	"slices"

	"github.com/gojepa/gojepa/sigreg"
	"github.com/gojepa/gojepa/sigreg/multivariate"
	"github.com/gojepa/gojepa/sigreg/univariate"
	"github.com/gojepa/gojepa/torch"
)

// Named is a test, and the name of its type.
type Named struct {
	Name string
	Test sigreg.Test
}

// SlicedTests are the tests of projections [*, N, M], as a [Report] has them. SIGReg's comes first.
func SlicedTests() []Named { return slices.Clone(slicedTests) }

// JointTests are the tests of embeddings [*, N, K] as they are, likewise.
func JointTests() []Named { return slices.Clone(jointTests) }

var slicedTests = []Named{
	{statisticName, statistic},
	{"AndersonDarling", univariate.AndersonDarling{}},
	{"CramerVonMises", univariate.CramerVonMises{}},
	{"Watson", univariate.Watson{}},
	{"ShapiroWilk", univariate.ShapiroWilk{}},
	{"VCReg", univariate.VCReg{}},
	{"ExtendedJarqueBera", univariate.ExtendedJarqueBera{}},
	{"Moments", univariate.DefaultMoments()},
	{"Entropy", univariate.DefaultEntropy()},
	{"NLL", univariate.NLL{}},
}

var jointTests = []Named{
	{"BHEP", multivariate.BHEP{}},
	{"HenzeZirkler", multivariate.HenzeZirkler{}},
	{"HenzeVisagie", multivariate.HenzeVisagie{Log: true}}, // its exponential may have no number
	{"COMB", multivariate.COMB{}},
}

// jointSamples is how many samples the joint tests take at most: they cost the square of it.
const jointSamples = 1024

// joint returns the statistics of y [N, K], one for each of jointTests.
func joint(s *torch.Scope, y torch.Tensor) []float64 {
	var all []float64
	for _, t := range jointTests {
		s.Child(func(s *torch.Scope) torch.Tensor {
			all = append(all, t.Test.Statistic(s, y).Item())
			return torch.Tensor{}
		})
	}
	return all
}

// blind says whether a test has nothing to look at: [univariate.VCReg] where every projection has been given mean 0 and
// variance 1.
func blind(name string, how Standardise) bool { return name == "VCReg" && how == Whiten }

// slabElements is how many projections are held at a time: the temporaries of the tests then stay in a core's cache.
const slabElements = 1 << 16

// sliced returns the statistics of y [N, K] on directions a [K, M], as a row of M for each of slicedTests.
func sliced(s *torch.Scope, y, a torch.Tensor) [][]float64 {
	n, m := y.Size(0), a.Size(1)
	slab := max(1, slabElements/n)
	all := make([][]float64, len(slicedTests))
	for first := int64(0); first < m; first += slab {
		s.Child(func(s *torch.Scope) torch.Tensor {
			x := y.Matmul(a.Narrow(1, first, min(slab, m-first)))
			// Most tests sort: what is sorted already they sort quickly.
			x, _ = x.T().Contiguous().Sort(-1)
			x = x.T()
			for i, t := range slicedTests {
				all[i] = append(all[i], t.Test.Statistic(s, x).Float64s()...)
			}
			return torch.Tensor{}
		})
	}
	return all
}
