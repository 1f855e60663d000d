package gaussianity

import (
	"cmp"
	"math"
	"slices"
)

// Report is what [Examine] finds. As JSON it has all but what is only for drawing.
type Report struct {
	Rows    int `json:"rows"`    // that there were
	Samples int `json:"samples"` // N, rows that were examined
	Dim     int `json:"dim"`     // K, numbers in each

	Standardise Standardise `json:"standardise"`
	Slices      int         `json:"slices"`
	JointRows   int         `json:"joint_rows"` // samples that the joint tests took, which cost the square of their number
	Simulations int         `json:"simulations"`
	Seed        uint64      `json:"seed"`

	Duplicates int   `json:"duplicates"`       // samples that equal one before them
	Constant   []int `json:"constant_columns"` // columns in which all samples are equal
	Rank       int   `json:"rank"`             // dimensions in which the samples vary: rank of the covariance, but for rounding

	Mean  []float64 `json:"mean"`  // of the samples, what they were centred by unless it is None
	Scale float64   `json:"scale"` // root of the mean variance of their columns, what they were divided by likewise

	// P is the p-value of all statistics together: how likely Gaussian samples are to be as far out in the one of them in
	// which they are farthest.
	P float64 `json:"p"`

	Covariance []Statistic `json:"covariance"`         // figures of the mean and the spectrum; none of Whiten
	Sliced     []Sliced    `json:"sliced"`             // tests of projections on the slices: their means. SIGReg is the first
	Joint      []Statistic `json:"joint"`              // tests of all dimensions at once
	Worst      Statistic   `json:"worst"`              // SIGReg's statistic on the first of Directions
	Expected   float64     `json:"sigreg_at_gaussian"` // what SIGReg's statistic is expected to be for N(0, I), unstandardised

	// Spectrum are the eigenvalues of the covariance, falling. They are divided by their mean unless it is None, and are
	// those before whitening.
	Spectrum []Eigenvalue `json:"spectrum"`

	Directions []Direction `json:"directions"` // the least Gaussian ones

	// What pictures are drawn of: the statistics of SIGReg on each slice, and the squared lengths of the standardised rows,
	// here and in the simulated sets, and the projection on the worst direction of that simulated set where SIGReg's statistic
	// on it is the median.
	SIGReg        Distribution `json:"-"`
	Norms         Distribution `json:"-"`
	GaussianWorst []float64    `json:"-"`
}

// Statistic is a number that tells samples from those of a Gaussian.
type Statistic struct {
	Name     string  `json:"name"`
	Observed float64 `json:"observed"`
	Gaussian Band    `json:"gaussian"` // for Gaussian samples
	Tail     Tail    `json:"tail"`     // the values that P counts as far out
	P        float64 `json:"p"`
}

// Ratio is Observed by Gaussian.Median, an effect size where both are above 0, and otherwise 0.
func (s Statistic) Ratio() float64 {
	if s.Observed > 0 && s.Gaussian.Median > 0 {
		return s.Observed / s.Gaussian.Median
	}
	return 0
}

// Sliced is the mean of a test over the slices.
type Sliced struct {
	Statistic
	Error float64 `json:"standard_error"` // of the mean
	// Beyond is the share of slices on which the test finds more than it does on 95 % of the simulated ones: 0.05 for Gaussian
	// samples.
	Beyond float64 `json:"beyond"`
}

// Eigenvalue is one of a spectrum, and where that of its rank lies for Gaussian samples.
type Eigenvalue struct {
	Observed float64 `json:"observed"`
	Gaussian Band    `json:"gaussian"`
}

// Direction is one on which embeddings are far from Gaussian.
type Direction struct {
	Statistic float64 `json:"statistic"` // SIGReg's, which the search maximised
	// P compares it with the worst direction of each simulated set, as the same search finds it: a search finds something in
	// any set, and the more the more dimensions there are.
	P          float64     `json:"p"`
	Shape                  // of the projection of the standardised embeddings
	Deviations []Deviation `json:"deviations"` // what its shape has that no worst direction of a simulated set has
	// Weights w give the projection of embeddings x as (x − mean)·w, or as x·w if it is None. Of a direction and its
	// opposite, it is the one whose largest weight is above 0.
	Weights  []float64 `json:"weights"`
	Least    []int     `json:"least"`    // rows with the least projections, counted from 0
	Greatest []int     `json:"greatest"` // rows with the greatest

	Projection []float64 `json:"-"` // of each sample
}

// Coordinates are the columns with the largest weights, n of them or fewer.
func (d Direction) Coordinates(n int) []int {
	order := make([]int, len(d.Weights))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(math.Abs(d.Weights[j]), math.Abs(d.Weights[i])) })
	return order[:min(n, len(order))]
}

// Distribution holds values of the embeddings, and those of all simulated sets.
type Distribution struct{ Observed, Gaussian []float64 }

func distribution(sets []measured, of func(m *measured) []float64) Distribution {
	d := Distribution{Observed: of(&sets[0])}
	for i := range sets[1:] {
		d.Gaussian = append(d.Gaussian, of(&sets[1+i])...)
	}
	return d
}

// figure is a number that every set has.
type figure struct {
	name string
	tail Tail
	of   func(m *measured) float64
}

// covarianceFigures are those that standardising has not made the same for all sets.
func (x *exam) covarianceFigures() []figure {
	if x.Standardise == Whiten {
		return nil
	}
	var all []figure
	if x.Standardise == None {
		all = append(all,
			figure{"length of the mean", Upper, func(m *measured) float64 { return m.mean }},
			figure{"mean variance", Both, func(m *measured) float64 { return m.spectrum.mean }})
	}
	if x.k > 1 {
		all = append(all,
			figure{"effective rank", Lower, func(m *measured) float64 { return m.spectrum.effective }},
			figure{"participation ratio", Lower, func(m *measured) float64 { return m.spectrum.participation }},
			figure{"largest eigenvalue", Upper, func(m *measured) float64 { return m.spectrum.most }},
			figure{"least eigenvalue", Lower, func(m *measured) float64 { return m.spectrum.least }})
	}
	return all
}

// compared collects statistics, and the values that they are made of for [overall].
type compared struct {
	values [][]float64
	tails  []Tail
}

func (c *compared) add(sets []measured, f figure) Statistic {
	values := make([]float64, len(sets))
	for i := range sets {
		values[i] = finite(f.of(&sets[i]))
	}
	c.values, c.tails = append(c.values, values), append(c.tails, f.tail)
	return Statistic{
		Name: f.name, Observed: values[0], Gaussian: newBand(values[1:]), Tail: f.tail, P: pValue(values[0], values[1:], f.tail),
	}
}

// report compares the first set with the others.
func (x *exam) report(sets []measured) *Report {
	r := &Report{
		Rows: x.data.total, Samples: x.n, Dim: x.k,
		Standardise: x.Standardise, Slices: x.Slices, JointRows: int(x.pairs.Numel()), Simulations: x.Simulations, Seed: x.Seed,
		Duplicates: x.data.duplicates, Constant: x.data.constant, Expected: statistic.Expected(),
	}
	var c compared
	r.Covariance = []Statistic{}
	for _, f := range x.covarianceFigures() {
		r.Covariance = append(r.Covariance, c.add(sets, f))
	}
	for i, t := range slicedTests {
		if blind(t.Name, x.Standardise) {
			continue
		}
		mean := c.add(sets, figure{t.Name, Upper, func(m *measured) float64 {
			mean, _ := meanAndError(m.sliced[i])
			return mean
		}})
		d := distribution(sets, func(m *measured) []float64 { return m.sliced[i] })
		_, err := meanAndError(d.Observed)
		r.Sliced = append(r.Sliced, Sliced{mean, err, share(d.Observed, newBand(d.Gaussian).High)})
		if t.Name == statisticName {
			r.SIGReg = d
		}
	}
	for i, t := range jointTests {
		r.Joint = append(r.Joint, c.add(sets, figure{t.Name, Upper, func(m *measured) float64 { return m.joint[i] }}))
	}
	r.Worst = c.add(sets, figure{statisticName, Upper, func(m *measured) float64 { return m.worst.value }})
	r.P = overall(c.values, c.tails)

	for i := range x.k {
		values := make([]float64, len(sets))
		for j, m := range sets {
			values[j] = m.eigenvalues[i]
		}
		r.Spectrum = append(r.Spectrum, Eigenvalue{values[0], newBand(values[1:])})
	}
	r.Norms = distribution(sets, func(m *measured) []float64 { return m.norms })
	simulated := slices.SortedStableFunc(slices.Values(sets[1:]), func(a, b measured) int { return cmp.Compare(a.worst.value, b.worst.value) })
	r.GaussianWorst = simulated[len(simulated)/2].projection
	return r
}
