package origin

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

var numbers = []os.Signal{syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGUSR1}

// TestMain is also a process 1, which says what it hears.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "listen" {
		signals, err := Listen(numbers...)
		if err != nil {
			panic(err)
		}
		fmt.Println("ready")
		for range 3 {
			_ = exec.Command("sh", "-c", "kill -USR1 $PPID").Run()
			fmt.Println(<-signals)
			fmt.Println(<-signals)
		}
		return
	}
	os.Exit(m.Run())
}

func TestTheSenderIsKnown(t *testing.T) {
	listener := exec.Command("/proc/self/exe", "listen")
	listener.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	if os.Getuid() != 0 {
		listener.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
	}
	out, err := listener.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Start(); errors.Is(err, syscall.EPERM) {
		t.Skip("namespaces are not for this user")
	} else if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	next := func() string { lines.Scan(); return lines.Text() }
	if word := next(); word != "ready" {
		t.Fatal(word)
	}
	for _, number := range []syscall.Signal{syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGUSR1} {
		from := []string{next()}
		if err := listener.Process.Signal(number); err != nil {
			t.Fatal(err)
		}
		from = append(from, next())
		want := fmt.Sprint([]string{fmt.Sprint(Signal{syscall.SIGUSR1, true}), fmt.Sprint(Signal{number, false})})
		if got := fmt.Sprint(from); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if err := listener.Wait(); err != nil {
		t.Error(err)
	}
}

// What is started has its signals as ever: none is blocked.
func TestWhatIsStartedHearsItsSignals(t *testing.T) {
	if _, err := Listen(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	text, err := exec.Command("grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); fields[0] == "SigBlk:" && strings.Trim(fields[1], "0") != "" {
			t.Error(line)
		}
	}
}
