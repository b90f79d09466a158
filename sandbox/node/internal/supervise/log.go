package supervise

import (
	"bytes"
	"os"
	"sync"
)

const (
	keep  = 12       // lines that a failure shows
	limit = 16 << 20 // bytes of a log before it is turned over
)

// Log is a program's output: a file that is turned over once it is large, and its last lines in memory.
type Log struct {
	mu    sync.Mutex
	path  string
	file  *os.File
	size  int64
	rest  []byte
	lines []string
}

// OpenLog starts the log at path; the one of the start before is kept as PATH.1.
func OpenLog(path string) (*Log, error) {
	log := &Log{path: path}
	return log, log.turn()
}

func (l *Log) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remember(data)
	if l.size > limit {
		if err := l.turn(); err != nil {
			return 0, err
		}
	}
	n, err := l.file.Write(data)
	l.size += int64(n)
	return n, err
}

// Tail returns the last lines.
func (l *Log) Tail() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	tail := append([]string(nil), l.lines...)
	if len(l.rest) > 0 {
		tail = append(tail, string(l.rest))
	}
	return tail
}

// Forget drops the lines in memory: those of a run before are no reason for the next one's end.
func (l *Log) Forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines, l.rest = nil, nil
}

func (l *Log) remember(data []byte) {
	l.rest = append(l.rest, data...)
	for {
		line, rest, found := bytes.Cut(l.rest, []byte("\n"))
		if !found {
			break
		}
		l.lines = append(l.lines, string(line))
		l.rest = rest
	}
	if len(l.lines) > keep {
		l.lines = append([]string(nil), l.lines[len(l.lines)-keep:]...)
	}
	l.rest = append([]byte(nil), l.rest[max(0, len(l.rest)-4096):]...)
}

func (l *Log) turn() error {
	if l.file != nil {
		_ = l.file.Close()
	}
	if err := os.Rename(l.path, l.path+".1"); err != nil && !os.IsNotExist(err) {
		return err
	}
	file, err := os.Create(l.path)
	l.file, l.size = file, 0
	return err
}
