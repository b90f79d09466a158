// Command app is an application for tests: it says which version it is and how it was called.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "%s %s\n", os.Getenv("VERSION"), strings.Join(os.Args[1:], " "))
	})
	log.Fatal(http.ListenAndServe(":8080", nil))
}
