package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
)

// ask runs this program with the words of the request's body, a JSON list, and answers what it printed: a pod
// that stays asks many questions, where one for each question takes the node longer than the question.
func ask(w http.ResponseWriter, r *http.Request) {
	var words []string
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&words); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var said, complained bytes.Buffer
	command := exec.CommandContext(r.Context(), "/proc/self/exe", words...)
	command.Stdout, command.Stderr = &said, &complained
	if err := command.Run(); err != nil {
		http.Error(w, err.Error()+": "+complained.String(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = said.WriteTo(w)
}
