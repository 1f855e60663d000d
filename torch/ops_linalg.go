package torch

import "github.com/sugarme/gotch/libtch"

// QR returns the reduced QR decomposition of t [*, n, k]: q [*, n, min(n, k)] with orthonormal columns and the upper
// triangular r [*, min(n, k), k]. The signs of r's diagonal are not determined. Gradient flows where n ≥ k.
func (t Tensor) QR() (q, r Tensor) { return t.decompose("linalg_qr", libtch.AtgLinalgQr, "reduced") }

// Eigh returns the eigenvalues [*, n] of symmetric matrices t [*, n, n], in rising order, and their unit eigenvectors as
// the columns of [*, n, n], whose signs are not determined. Only the lower triangles are read. Gradient flows where all
// eigenvalues differ.
func (t Tensor) Eigh() (values, vectors Tensor) {
	return t.decompose("linalg_eigh", libtch.AtgLinalgEigh, "L")
}

func (t Tensor) decompose(op string, f func(out *libtch.Ctensor, self libtch.Ctensor, how string), how string) (a, b Tensor) {
	f(t.out(), t.c, how)
	a = t.result(op, t)
	return a, t.th.cur.own(t.th.mem.outs[1])
}
