package images

import (
	"math"
	"slices"
	"strconv"
)

// labelling is the classes of images. The zero value knows none.
type labelling struct {
	labels  []int32 // by image: class, or -1
	classes []string
}

// Label is the class of image i, if labels were asked for and it has one.
func (l *labelling) Label(i int) (int, bool) {
	if len(l.labels) == 0 || l.labels[i] < 0 {
		return 0, false
	}
	return int(l.labels[i]), true
}

// Classes are the names of the classes, if labels were asked for.
func (l *labelling) Classes() []string { return l.classes }

// maxClassNumber bounds labels that are numbers, as there is a class for each up to the highest.
const maxClassNumber = 1 << 20

// numbered are labels that are numbers of classes with the given names, or "0", "1", … up to the highest if names is nil.
// A number below 0 is no label. It is false if a number is beyond the names, or too high to be a class's.
func numbered(labels []int64, names []string) (labelling, bool) {
	l := labelling{labels: make([]int32, len(labels)), classes: names}
	top := int64(-1)
	for i, v := range labels {
		if v >= maxClassNumber || names != nil && v >= int64(len(names)) {
			return labelling{}, false
		}
		top = max(top, v)
		l.labels[i] = int32(max(v, -1))
	}
	if names == nil {
		for c := range top + 1 {
			l.classes = append(l.classes, strconv.FormatInt(c, 10))
		}
	}
	return l, true
}

// labelTexts gathers labels that are texts, one for each image in order.
type labelTexts struct {
	known  map[string]int32
	texts  []string // in the order in which they came
	labels []int32
}

// add takes the next image's label; "" is none.
func (t *labelTexts) add(text string) {
	if text == "" {
		t.labels = append(t.labels, -1)
		return
	}
	n, ok := t.known[text]
	if !ok {
		if t.known == nil {
			t.known = map[string]int32{}
		}
		n = int32(len(t.texts))
		t.known[text] = n
		t.texts = append(t.texts, text)
	}
	t.labels = append(t.labels, n)
}

// finish numbers the classes. Texts that are all whole numbers are their classes' numbers, and -1 is no label; others are
// numbered in alphabetical order.
func (t *labelTexts) finish() labelling {
	if l, ok := t.numbers(); ok {
		return l
	}
	classes := slices.Sorted(slices.Values(t.texts))
	to := make([]int32, len(t.texts))
	for i, text := range t.texts {
		c, _ := slices.BinarySearch(classes, text)
		to[i] = int32(c)
	}
	for i, n := range t.labels {
		if n >= 0 {
			t.labels[i] = to[n]
		}
	}
	return labelling{labels: t.labels, classes: classes}
}

func (t *labelTexts) numbers() (labelling, bool) {
	values := make([]int64, len(t.texts))
	for i, text := range t.texts {
		v, err := strconv.ParseInt(text, 10, 64)
		if err != nil || v < -1 || strconv.FormatInt(v, 10) != text {
			return labelling{}, false
		}
		values[i] = v
	}
	all := make([]int64, len(t.labels))
	for i, n := range t.labels {
		all[i] = -1
		if n >= 0 {
			all[i] = values[n]
		}
	}
	return numbered(all, nil)
}

// wholeNumber is a float that is a whole number, as some write labels.
func wholeNumber(x float64) (int64, bool) {
	if x != math.Trunc(x) || math.Abs(x) >= maxClassNumber {
		return 0, false
	}
	return int64(x), true
}
