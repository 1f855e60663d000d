// Package runlog keeps the record of a training run: metrics.jsonl, one JSON object per line, appended as the run goes.
//
// There are three kinds of lines. A step has "loss" and the figures of one optimiser step; an evaluation has "eval", an
// object of named figures, and what it cost in "seconds" and as a "share" of the time; a step back has "back", and stands
// behind the step that the run went back to. All have "step" and "epoch". Figures that are not finite are written as null,
// which JSON can hold, and read back as NaN; others have as many digits as tell them from any other float64.
package runlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/gojepa/gojepa/internal/figure"
)

// Step is the record of one optimiser step.
type Step struct {
	Step       int     // optimiser steps done, counted from 1
	Epoch      float64 // passes over the data done, with its fraction
	Loss       float64 // (1−λ)·Prediction + λ·SIGReg
	Prediction float64 // mean squared distance of the projections from their centre
	SIGReg     float64 // the statistic, averaged over slices and views
	SIGRegSE   float64 // its standard error over slices
	// SIGRegExpected is what SIGReg comes to on average where projections are standard Gaussian.
	SIGRegExpected float64
	LR             float64 // learning rate of this step
	GradNorm       float64 // L2 norm of all gradients, before clipping
	ImagesPerS     float64 // images, not views, per second
	WaitShare      float64 // share of the step's time that was spent waiting for its images, from 0 to 1
	Seconds        float64 // training time since the run began, over all its sessions

	Texts *Texts // of a run on captions, too; nil without
}

// Texts are figures of the views of captions in a step.
type Texts struct {
	Captions   int     // images that had one
	Prediction float64 // as that of all views, of the captions' alone; NaN where there were none
	SIGReg     float64 // likewise; 0 of a single caption
}

// Eval is the record of one evaluation during or after training.
type Eval struct {
	Step  int     // optimiser steps done
	Epoch float64 // passes over the data done, with its fraction
	// Values are figures by name. Of some held-out images: "rankme" and "participation", the rank of embeddings, and
	// "alpha_req", how fast the eigenvalues of their covariance fall; "sigreg" of projections and "sigreg_embeddings", beside
	// "sigreg_expected" of a Gaussian; with labels "online_knn" and "online_linear", accuracies in [0, 1]. Of all images, at
	// the end of a run: "knn" and "linear".
	Values map[string]float64

	Seconds float64 // that it took; 0 if it was not measured
	Share   float64 // of the session's time so far that went into evaluations, from 0 to 1; likewise
}

// Back is the record of a step back: the run diverged, and went on from an earlier state with other random streams.
type Back struct {
	Step  int     `json:"step"`  // optimiser steps done by the state that it went back to
	Epoch float64 `json:"epoch"` // passes over the data done by then, with their fraction
	From  int     `json:"from"`  // the step that diverged
	Seed  uint64  `json:"seed"`  // what names the random streams from there on
}

type number = figure.Figure

// stepLine and evalLine are the two kinds of lines; anyLine tells them apart.
type stepLine struct {
	Step           int    `json:"step"`
	Epoch          number `json:"epoch"`
	Loss           number `json:"loss"`
	Prediction     number `json:"prediction"`
	SIGReg         number `json:"sigreg"`
	SIGRegSE       number `json:"sigreg_se"`
	SIGRegExpected number `json:"sigreg_expected"`
	LR             number `json:"lr"`
	GradNorm       number `json:"grad_norm"`
	ImagesPerS     number `json:"images_per_s"`
	WaitShare      number `json:"wait_share"`
	Seconds        number `json:"seconds"`

	// Of captions; missing without.
	Captions       *int    `json:"captions,omitempty"`
	TextPrediction *number `json:"text_prediction,omitempty"`
	TextSIGReg     *number `json:"text_sigreg,omitempty"`
}

// texts reads the figures of captions.
func (l stepLine) texts() *Texts {
	if l.Captions == nil {
		return nil
	}
	t := &Texts{Captions: *l.Captions, Prediction: math.NaN(), SIGReg: math.NaN()} // as null leaves a pointer nil
	if l.TextPrediction != nil {
		t.Prediction = float64(*l.TextPrediction)
	}
	if l.TextSIGReg != nil {
		t.SIGReg = float64(*l.TextSIGReg)
	}
	return t
}

type evalLine struct {
	Step  int               `json:"step"`
	Epoch number            `json:"epoch"`
	Eval  map[string]number `json:"eval"`

	Seconds number `json:"seconds,omitempty"`
	Share   number `json:"share,omitempty"`
}

type backLine struct {
	Step  int      `json:"step"`
	Epoch number   `json:"epoch"`
	Back  backPart `json:"back"`
}

type backPart struct {
	From int    `json:"from"`
	Seed uint64 `json:"seed,string"` // as most readers of JSON take numbers for float64
}

type anyLine struct {
	Step *int            `json:"step"`
	Loss json.RawMessage `json:"loss"`
	Eval json.RawMessage `json:"eval"`
	Back json.RawMessage `json:"back"`
}

// MarshalJSON writes the record as one line of metrics.jsonl, without its newline.
func (s Step) MarshalJSON() ([]byte, error) {
	l := stepLine{
		Step: s.Step, Epoch: number(s.Epoch), Loss: number(s.Loss), Prediction: number(s.Prediction),
		SIGReg: number(s.SIGReg), SIGRegSE: number(s.SIGRegSE), SIGRegExpected: number(s.SIGRegExpected), LR: number(s.LR), GradNorm: number(s.GradNorm),
		ImagesPerS: number(s.ImagesPerS), WaitShare: number(s.WaitShare), Seconds: number(s.Seconds),
	}
	if t := s.Texts; t != nil {
		prediction, sigreg := number(t.Prediction), number(t.SIGReg)
		l.Captions, l.TextPrediction, l.TextSIGReg = &t.Captions, &prediction, &sigreg
	}
	return json.Marshal(l)
}

// UnmarshalJSON reads what MarshalJSON wrote. Figures that the line lacks stay as they are.
func (s *Step) UnmarshalJSON(b []byte) error {
	l := stepLine{
		Step: s.Step, Epoch: number(s.Epoch), Loss: number(s.Loss), Prediction: number(s.Prediction),
		SIGReg: number(s.SIGReg), SIGRegSE: number(s.SIGRegSE), SIGRegExpected: number(s.SIGRegExpected), LR: number(s.LR), GradNorm: number(s.GradNorm),
		ImagesPerS: number(s.ImagesPerS), WaitShare: number(s.WaitShare), Seconds: number(s.Seconds),
	}
	if err := json.Unmarshal(b, &l); err != nil {
		return err
	}
	*s = Step{
		Step: l.Step, Epoch: float64(l.Epoch), Loss: float64(l.Loss), Prediction: float64(l.Prediction),
		SIGReg: float64(l.SIGReg), SIGRegSE: float64(l.SIGRegSE), SIGRegExpected: float64(l.SIGRegExpected), LR: float64(l.LR), GradNorm: float64(l.GradNorm),
		ImagesPerS: float64(l.ImagesPerS), WaitShare: float64(l.WaitShare), Seconds: float64(l.Seconds),
		Texts: l.texts(),
	}
	return nil
}

// MarshalJSON writes the record as one line of metrics.jsonl, without its newline. Values are sorted by name.
func (e Eval) MarshalJSON() ([]byte, error) {
	values := make(map[string]number, len(e.Values))
	for name, v := range e.Values {
		values[name] = number(v)
	}
	return json.Marshal(evalLine{Step: e.Step, Epoch: number(e.Epoch), Eval: values, Seconds: number(e.Seconds), Share: number(e.Share)})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (e *Eval) UnmarshalJSON(b []byte) error {
	var l evalLine
	if err := json.Unmarshal(b, &l); err != nil {
		return err
	}
	*e = Eval{Step: l.Step, Epoch: float64(l.Epoch), Values: make(map[string]float64, len(l.Eval)), Seconds: float64(l.Seconds), Share: float64(l.Share)}
	for name, v := range l.Eval {
		e.Values[name] = float64(v)
	}
	return nil
}

// line is the form of the record in metrics.jsonl.
func (b Back) line() backLine {
	return backLine{Step: b.Step, Epoch: number(b.Epoch), Back: backPart{b.From, b.Seed}}
}

// record is one line: one of its parts is set.
type record struct {
	step *Step
	eval *Eval
	back *Back
}

// parse reads one line.
func parse(line []byte) (r record, err error) {
	var kind anyLine
	if err := json.Unmarshal(line, &kind); err != nil {
		return r, fmt.Errorf("not a JSON record: %w", err)
	}
	switch {
	case kind.Step == nil:
		return r, errors.New(`it has no "step"`)
	case kind.Eval != nil:
		r.eval = new(Eval)
		return r, json.Unmarshal(line, r.eval)
	case kind.Loss != nil:
		r.step = new(Step)
		return r, json.Unmarshal(line, r.step)
	case kind.Back != nil:
		var b backLine
		err := json.Unmarshal(line, &b)
		r.back = &Back{Step: b.Step, Epoch: float64(b.Epoch), From: b.Back.From, Seed: b.Back.Seed}
		return r, err
	}
	return r, errors.New(`it has neither "loss" nor "eval" nor "back"`)
}
