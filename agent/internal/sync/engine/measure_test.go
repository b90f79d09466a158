package engine

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"devcluster/agent/internal/sync/volume"
	"devcluster/agent/internal/sync/wire"
)

// TestMain lets the test program be an engine, or an agent's end, in a process of its own.
func TestMain(m *testing.M) {
	switch root := os.Getenv("SYNC_ROOT"); os.Getenv("SYNC_ROLE") {
	case "engine":
		config := Config{Root: root, State: root + ".state", Copy: "copy"}
		fmt.Fprintln(os.Stderr, Run(context.Background(), config, NewHost(os.Stdin, os.Stdout)))
	case "agent":
		stream := struct {
			io.Reader
			io.Writer
		}{os.Stdin, os.Stdout}
		fmt.Fprintln(os.Stderr, wire.Serve(context.Background(), stream, root, volume.Settings{Write: true}))
	default:
		os.Exit(m.Run())
	}
}

// TestMeasure prints what a live volume costs: DEVCLUSTER_SYNC_MEASURE=1, or the round trip in milliseconds.
func TestMeasure(t *testing.T) {
	delay, err := strconv.Atoi(os.Getenv("DEVCLUSTER_SYNC_MEASURE"))
	if err != nil {
		t.Skip("DEVCLUSTER_SYNC_MEASURE is not set")
	}
	w := newWorld(t)
	fillWith(t, w.folder[pod])
	processes := w.startProcesses(time.Duration(delay/2) * time.Millisecond)
	began := time.Now()
	w.settle()
	fmt.Printf("first pass, 12,000 files of 110 MB: %.2f s\n", time.Since(began).Seconds())
	began = time.Now()
	w.flush()
	fmt.Printf("nothing to do: %.2f s\n", time.Since(began).Seconds())
	for side, name := range []string{"pod to laptop", "laptop to pod"} {
		fmt.Printf("%s: %s\n", name, w.latencies(side))
	}
	w.burst("2,000 × 4 KiB", 2000, 4<<10)
	w.burst("1 × 500 MiB", 1, 500<<20)
	w.rest(processes)
}

func fillWith(t *testing.T, folder string) {
	content := make([]byte, 9_100)
	for i := range 12_000 {
		name := filepath.Join(folder, fmt.Sprintf("d%d/e%d/f%d", i%40, i%400, i))
		if i < 400 {
			check(t, os.MkdirAll(filepath.Dir(name), 0o755))
		}
		copy(content, strconv.Itoa(i))
		check(t, os.WriteFile(name, content, 0o644))
	}
}

// startProcesses begins as start does, with processes.
func (w *world) startProcesses(delay time.Duration) map[string]int {
	run := func(role, root string) (io.WriteCloser, io.Reader, int) {
		program := exec.Command("/proc/self/exe")
		program.Env = append(os.Environ(), "SYNC_ROLE="+role, "SYNC_ROOT="+root)
		in, err := program.StdinPipe()
		check(w.t, err)
		out, err := program.StdoutPipe()
		check(w.t, err)
		check(w.t, program.Start())
		w.t.Cleanup(func() { _ = in.Close(); _ = program.Process.Kill(); _ = program.Wait() })
		return in, out, program.Process.Pid
	}
	engineIn, engineOut, engine := run("engine", w.folder[laptop])
	agentIn, agentOut, agent := run("agent", w.folder[pod])
	piped, in := io.Pipe()
	w.in, w.link = in, 1
	w.conn = delayed{agentIn, delay}.start()
	go func() { _, _ = io.Copy(engineIn, piped) }()
	go w.hear(engineOut)
	w.say(map[string]any{"do": "link", "link": 1})
	late := delayed{frames{w}, delay}.start()
	go func() { _, _ = io.CopyBuffer(onlyWriter{late}, agentOut, make([]byte, 32<<10)) }()
	return map[string]int{"engine": engine, "agent": agent}
}

type frames struct{ *world }

func (f frames) Write(part []byte) (int, error) {
	f.send(1, part)
	return len(part), nil
}

type onlyWriter struct{ io.Writer }

// delayed hands on each write a while later.
type delayed struct {
	to    io.Writer
	delay time.Duration
}

type packet struct {
	due  time.Time
	part []byte
}

func (d delayed) start() io.WriteCloser {
	queue := make(chan packet, 1024)
	go func() {
		for one := range queue {
			time.Sleep(time.Until(one.due))
			_, _ = d.to.Write(one.part)
		}
	}()
	return lateWriter{queue, d.delay}
}

type lateWriter struct {
	queue chan packet
	delay time.Duration
}

func (l lateWriter) Write(part []byte) (int, error) {
	l.queue <- packet{time.Now().Add(l.delay), slices.Clone(part)}
	return len(part), nil
}

func (l lateWriter) Close() error { return nil }

// latencies are of a write until it is read on the other side.
func (w *world) latencies(side int) string {
	var all []time.Duration
	for i := range 200 {
		text := fmt.Sprintf("%d from %d", i, side)
		time.Sleep(time.Duration(i%7) * 30 * time.Millisecond)
		began := time.Now()
		w.write(side, fmt.Sprintf("d%d/e%d/f%d", i%40, i%40, i%40), text)
		for w.read(1-side, fmt.Sprintf("d%d/e%d/f%d", i%40, i%40, i%40)) != text {
			time.Sleep(500 * time.Microsecond)
		}
		all = append(all, time.Since(began))
	}
	slices.Sort(all)
	return fmt.Sprintf("p50 %d ms, p99 %d ms", all[100].Milliseconds(), all[197].Milliseconds())
}

func (w *world) burst(what string, count, size int) {
	content := strings.Repeat("0123456789abcdef", size/16)
	for i := range count {
		w.write(laptop, fmt.Sprintf("burst%d/%d", size, i), content)
	}
	began := time.Now()
	last := fmt.Sprintf("burst%d/%d", size, count-1)
	for {
		if info, err := os.Stat(w.path(pod, last)); err == nil && info.Size() == int64(size) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	w.flush()
	fmt.Printf("%s to the pod, from the last write: %.2f s\n", what, time.Since(began).Seconds())
}

// rest prints what both processes take while nothing happens, a rescan included.
func (w *world) rest(processes map[string]int) {
	time.Sleep(5 * time.Second)
	const span = 65 * time.Second
	before := map[string]float64{}
	for name, pid := range processes {
		before[name] = cpu(w.t, pid)
	}
	time.Sleep(span)
	for name, pid := range processes {
		used := cpu(w.t, pid) - before[name]
		fmt.Printf("%s at rest: %.2f %% of a core, %s\n", name, 100*used/span.Seconds(), memoryOf(w.t, pid))
	}
}

func cpu(t *testing.T, pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	check(t, err)
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+2:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return float64(user+system) / 100
}

func memoryOf(t *testing.T, pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	check(t, err)
	found := []string{}
	for line := range strings.Lines(string(text)) {
		for _, key := range []string{"VmHWM", "VmRSS", "RssAnon"} {
			if value, ok := strings.CutPrefix(line, key+":"); ok {
				found = append(found, key+" "+strings.TrimSpace(value))
			}
		}
	}
	return strings.Join(found, ", ")
}
