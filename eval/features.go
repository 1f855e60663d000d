package eval

import (
	"fmt"
	"math"
	"slices"
)

// Features are the features of a set of samples.
type Features struct {
	X       []float32 // [N, D], a row for each sample
	N, D    int
	Labels  []int    // the class of each sample, counted from 0; nil if there are none
	Classes []string // names of the classes; nil if they have none
}

// Row is the features of sample i, not a copy.
func (f Features) Row(i int) []float32 { return f.X[i*f.D : (i+1)*f.D] }

// Select is a copy of some samples, in the order of rows.
func (f Features) Select(rows []int) Features {
	out := Features{X: make([]float32, 0, len(rows)*f.D), N: len(rows), D: f.D, Classes: f.Classes}
	for _, r := range rows {
		out.X = append(out.X, f.Row(r)...)
		if f.Labels != nil {
			out.Labels = append(out.Labels, f.Labels[r])
		}
	}
	return out
}

// check reports what is wrong with the features that role names.
func (f Features) check(role string) error {
	switch {
	case f.N < 1 || f.D < 1:
		return fmt.Errorf("eval: %s: %d samples of %d features: expected at least one of each", role, f.N, f.D)
	case len(f.X) != f.N*f.D:
		return fmt.Errorf("eval: %s: %d values: expected %d, for %d samples of %d features", role, len(f.X), f.N*f.D, f.N, f.D)
	}
	for i, v := range f.X {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return fmt.Errorf("eval: %s: feature %d of sample %d is %v: expected finite numbers", role, i%f.D, i/f.D, v)
		}
	}
	return nil
}

// checkLabels reports what is wrong with the labels of the features that role names.
func (f Features) checkLabels(role string) error {
	switch {
	case f.Labels == nil:
		return fmt.Errorf("eval: %s: no labels", role)
	case len(f.Labels) != f.N:
		return fmt.Errorf("eval: %s: %d labels for %d samples", role, len(f.Labels), f.N)
	}
	for i, l := range f.Labels {
		if l < 0 {
			return fmt.Errorf("eval: %s: sample %d has no label (%d)", role, i, l)
		}
		if f.Classes != nil && l >= len(f.Classes) {
			return fmt.Errorf("eval: %s: label %d of sample %d: there are %d classes", role, l, i, len(f.Classes))
		}
	}
	return nil
}

// classes is the number of classes that labels count.
func (f Features) classes() int {
	if f.Classes != nil {
		return len(f.Classes)
	}
	return slices.Max(f.Labels) + 1
}

// name is what class c is called.
func (f Features) name(c int) string {
	if c < len(f.Classes) {
		return f.Classes[c]
	}
	return fmt.Sprint(c)
}

// checkTraining reports why nothing can be learnt from train.
func checkTraining(train Features) error {
	const role = "training features"
	if err := train.check(role); err != nil {
		return err
	}
	return train.checkClasses(role)
}

// checkClasses reports what is wrong with the labels of the samples that role names, and if they are all of one class.
func (f Features) checkClasses(role string) error {
	if err := f.checkLabels(role); err != nil {
		return err
	}
	for _, l := range f.Labels {
		if l != f.Labels[0] {
			return nil
		}
	}
	if f.N == 0 {
		return fmt.Errorf("eval: %s: there are none", role)
	}
	return fmt.Errorf("eval: %s: all %d samples are of class %s: expected two classes or more", role, f.N, f.name(f.Labels[0]))
}

// checkTest reports why what is learnt from dim features and the given classes cannot be tested on test, and returns
// test's labels in terms of those classes. Classes are the same if their names are, or, where either side has no names,
// their numbers.
func checkTest(test Features, dim, classes int, names []string) ([]int, error) {
	const role = "test features"
	if err := test.check(role); err != nil {
		return nil, err
	}
	if err := test.checkLabels(role); err != nil {
		return nil, err
	}
	if test.D != dim {
		return nil, fmt.Errorf("eval: %s: %d features a sample: expected %d, as in training", role, test.D, dim)
	}
	class := func(l int) int { return l }
	if names != nil && test.Classes != nil {
		known := make([]int, len(test.Classes))
		for i, name := range test.Classes {
			known[i] = slices.Index(names, name)
		}
		class = func(l int) int { return known[l] }
	}
	labels := make([]int, test.N)
	for i, l := range test.Labels {
		if labels[i] = class(l); labels[i] < 0 || labels[i] >= classes {
			return nil, fmt.Errorf("eval: %s: sample %d is of class %s, which the training set does not have", role, i, test.name(l))
		}
	}
	return labels, nil
}
