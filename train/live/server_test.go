package live

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/train/report"
	"github.com/gojepa/gojepa/train/runlog"
)

// serve has a server of a board, and a folder with a run's files.
func serve(t *testing.T) (*Server, *Board) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "metrics.jsonl"), []byte("{\"step\":1}\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.yaml"), []byte("secret"), 0o644))
	s, err := Listen(":0")
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	b := new(Board)
	b.Set(func(r *report.Report) { r.Title = "stripes" })
	b.Phase("training", 100)
	s.Serve(b, filepath.Join(dir, "metrics.jsonl"))
	return s, b
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(body)
}

func TestServedPageIsTheReport(t *testing.T) {
	s, b := serve(t)
	for i := 1; i <= 10; i++ {
		b.Step(runlog.Step{Step: i, Loss: 1 / float64(i), SIGReg: 2, Seconds: float64(i)})
	}
	code, page := get(t, s.URL())
	assert.Equal(t, 200, code)
	for _, want := range []string{"<h1>stripes</h1>", "data-live", `id="chart-loss"`, "connect-src 'self'"} {
		assert.Contains(t, page, want)
	}
	_, curves := get(t, s.URL()+"parts/curves")
	assert.Contains(t, page, strings.TrimSpace(curves), "a part is what the page has of it")

	code, text := get(t, s.URL()+"status.json")
	assert.Equal(t, 200, code)
	var status Status
	require.NoError(t, json.Unmarshal([]byte(text), &status))
	assert.Equal(t, 10, status.Step)
	assert.Equal(t, 100, status.Steps)
	assert.Equal(t, 0.1, status.Last.Loss)
	assert.InDelta(t, 90, *status.TimeLeft, 1e-9, "at a step a second")
	assert.Less(t, *status.StepAge, 10.)

	b.Set(func(r *report.Report) { r.Title = "changed" })
	_, head := get(t, s.URL()+"parts/head")
	assert.Contains(t, head, "changed")
	assert.NotContains(t, b.Report().Title, "stripes")
	assert.False(t, b.Report().Live)
}

func TestOnlyWhatIsMeantToBeSeen(t *testing.T) {
	s, _ := serve(t)
	code, text := get(t, s.URL()+"metrics.jsonl")
	assert.Equal(t, 200, code)
	assert.Equal(t, "{\"step\":1}\n", text)
	for _, path := range []string{"config.yaml", "parts/config.yaml", "parts/..%2fconfig.yaml", "..%2fconfig.yaml", "metrics.jsonl/../config.yaml"} {
		code, text := get(t, s.URL()+path)
		assert.Equal(t, 404, code, path)
		assert.NotContains(t, text, "secret")
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH"} {
		req, err := http.NewRequest(method, s.URL()+"metrics.jsonl", strings.NewReader("x"))
		require.NoError(t, err)
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		res.Body.Close()
		assert.Equal(t, 405, res.StatusCode, method)
	}
	req, err := http.NewRequest("GET", s.URL(), nil)
	require.NoError(t, err)
	req.Host = "elsewhere.example"
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	res.Body.Close()
	assert.Equal(t, 403, res.StatusCode, "a name of another site that leads here")
}

func TestAddresses(t *testing.T) {
	s, err := Listen("0")
	require.NoError(t, err)
	defer s.Close()
	assert.True(t, s.Local())
	assert.Regexp(t, `^http://127\.0\.0\.1:\d+/$`, s.URL())
	_, port, err := net.SplitHostPort(s.l.Addr().String())
	require.NoError(t, err)
	_, err = Listen(":" + port)
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	assert.ErrorContains(t, err, "serving on :"+port)
	for _, bad := range []string{"", ":", "a:b:c", ":http-no-such", ":99999"} {
		_, err := Listen(bad)
		assert.ErrorContains(t, err, "serving on", bad)
	}
	all, err := Listen("0.0.0.0:0")
	require.NoError(t, err)
	defer all.Close()
	assert.False(t, all.Local())
}

// TestClientsHarmNothing: a board is written while clients ask, do not read, do not ask, and are too many.
func TestClientsHarmNothing(t *testing.T) {
	s, b := serve(t)
	var idle []net.Conn
	for i := range 2 * mostConnections {
		c, err := net.Dial("tcp", s.l.Addr().String())
		require.NoError(t, err)
		defer c.Close()
		if i%2 == 0 {
			_, err = fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
			require.NoError(t, err)
		}
		idle = append(idle, c)
	}
	var w sync.WaitGroup
	w.Add(1)
	go func() {
		defer w.Done()
		for i := range 5000 {
			b.Step(runlog.Step{Step: i + 1, Loss: 1})
			if i%500 == 0 {
				b.Eval(runlog.Eval{Step: i + 1, Values: map[string]float64{"rankme": 3}})
				b.Set(func(r *report.Report) { r.Summary = fmt.Sprint(i) })
			}
		}
	}()
	w.Wait()
	assert.Equal(t, 5000, b.Curves().Last().Step)
	assert.LessOrEqual(t, s.open.Load(), int64(2*mostConnections))
	for _, c := range idle {
		c.Close()
	}
	require.Eventually(t, func() bool {
		res, err := http.Get(s.URL() + "status.json")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == 200
	}, 10*time.Second, 50*time.Millisecond, "when they have gone, others are answered")
}

func TestCloseIsAtOnce(t *testing.T) {
	s, _ := serve(t)
	c, err := net.Dial("tcp", s.l.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	_, err = fmt.Fprintf(c, "GET /metrics.jsonl HTTP/1.1\r\nHost: localhost\r\n\r\n")
	require.NoError(t, err)
	_, err = bufio.NewReader(c).ReadString('\n')
	require.NoError(t, err)
	began := time.Now()
	require.NoError(t, s.Close())
	assert.Less(t, time.Since(began), time.Second)
	_, err = net.Dial("tcp", s.l.Addr().String())
	assert.Error(t, err)
}
