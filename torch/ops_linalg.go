package torch

import "github.com/sugarme/gotch/libtch"

// QR returns the reduced QR decomposition of t [*, n, k]: q [*, n, min(n, k)] with orthonormal columns and the upper
// triangular r [*, min(n, k), k]. The signs of r's diagonal are not determined. Gradient flows where n ≥ k.
func (t Tensor) QR() (q, r Tensor) { return t.decompose("linalg_qr", nativeQR) }

// Eigh returns the eigenvalues [*, n] of symmetric matrices t [*, n, n], in rising order, and their unit eigenvectors as
// the columns of [*, n, n], whose signs are not determined. Only the lower triangles are read. Gradient flows where all
// eigenvalues differ.
func (t Tensor) Eigh() (values, vectors Tensor) {
	return t.decompose("linalg_eigh", nativeEigh)
}

func (t Tensor) decompose(op string, f func(outs *libtch.Ctensor, self libtch.Ctensor) string) (a, b Tensor) {
	if msg := f(t.out(), t.c); msg != "" {
		panic(newError(op, msg, []Tensor{t}))
	}
	a = t.result(op, t)
	return a, t.th.cur.own(t.th.mem.outs[1])
}
