// Package eval says how good frozen features are: how many test samples a k-NN vote or a linear classifier over them
// gets right; and how good an encoder is when it is trained with labels, all of it.
//
// [Extract] turns images into [Features] with an encoder; features from elsewhere will do as well. [KNN] and
// [LinearProbe] take those of a training and of a test set:
//
//	acc, err := eval.KNN(ctx, th, train, test, eval.DefaultKNN())
//	fmt.Printf("%.1f %%\n", 100*acc.Top1)
//
// [MeasureRank], [MeasureGaussian] and, of views that [ExtractViews] embeds, [MeasureAgreement] need no labels.
//
// None changes the encoder. All are functions of features alone, so that other measures can stand beside them. [FineTuner]
// trains encoders end to end, each on a copy of the weights.
package eval
