package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"devcluster/agent/internal/files"
	"devcluster/agent/internal/fill"
)

const filesUsage = "usage: files scan|pack|apply ROOT [--exclude GLOB]… [--paths-from FILE] [--delete-from FILE]"

// patterns is a flag that may be given several times.
type patterns []string

func (p *patterns) String() string         { return strings.Join(*p, ",") }
func (p *patterns) Set(value string) error { *p = append(*p, value); return nil }

// runFiles is the role files: what the agent's subsystem files does, for a volume on the laptop, and apply,
// which fills it. `--paths-from` and `--delete-from` name a file with one line of JSON, {"paths":[…]} or
// {"delete":[…]}; `-` is the first line of stdin, and what follows it is the stream.
func runFiles(args []string) error {
	if len(args) < 2 {
		return errors.New(filesUsage)
	}
	do, root := args[0], args[1]
	flags := flag.NewFlagSet("files", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	var exclude patterns
	flags.Var(&exclude, "exclude", "leave out what matches")
	pathsFrom := flags.String("paths-from", "", "pack only these")
	deleteFrom := flags.String("delete-from", "", "remove these first")
	if err := flags.Parse(args[2:]); err != nil || flags.NArg() > 0 {
		return errors.New(filesUsage)
	}
	stdin := bufio.NewReaderSize(os.Stdin, 256<<10)
	out := bufio.NewWriterSize(os.Stdout, 256<<10)
	var err error
	switch do {
	case "scan":
		err = scan(out, root, exclude)
	case "pack":
		err = pack(out, root, exclude, *pathsFrom, stdin)
	case "apply":
		err = apply(out, root, *deleteFrom, stdin)
	default:
		return errors.New(filesUsage)
	}
	return errors.Join(err, out.Flush())
}

func scan(out io.Writer, root string, exclude []string) error {
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	for entry, err := range files.Scan(root, exclude) {
		if err != nil {
			return err
		}
		if err := lines.Encode(entry); err != nil {
			return err
		}
	}
	return nil
}

// list is the one line that names paths.
type list struct {
	Paths  files.Names `json:"paths"`
	Delete files.Names `json:"delete"`
}

func readList(name string, stdin *bufio.Reader) (list, error) {
	var named list
	if name == "" {
		return named, nil
	}
	source := stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return named, err
		}
		defer func() { _ = file.Close() }()
		source = bufio.NewReader(file)
	}
	line, err := source.ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return named, err
	}
	if err := json.Unmarshal(line, &named); err != nil {
		return named, fmt.Errorf("%s: expected one line of JSON", name)
	}
	return named, nil
}

func pack(out io.Writer, root string, exclude []string, pathsFrom string, stdin *bufio.Reader) error {
	named, err := readList(pathsFrom, stdin)
	if err != nil {
		return err
	}
	if pathsFrom != "" && named.Paths == nil {
		named.Paths = files.Names{} // none, not all
	}
	return files.Pack(out, root, exclude, named.Paths)
}

// apply ends with one line of JSON: what it has written.
func apply(out io.Writer, root, deleteFrom string, stdin *bufio.Reader) error {
	named, err := readList(deleteFrom, stdin)
	if err != nil {
		return err
	}
	if err := fill.Delete(root, named.Delete); err != nil {
		return err
	}
	done, err := fill.Apply(root, stdin)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(done)
}
