package control

import (
	"os"
	"slices"
)

// Figure is a variable that kubelet wrote from the container's memory: Raised with the agent's share in it,
// Plain without. A variable that says neither has another cause, and stays.
type Figure struct {
	Name   string `json:"name"`
	Raised string `json:"raised"`
	Plain  string `json:"plain"`
}

// Correct gives this process, and so all that it starts, the variables as they are without an agent.
func Correct(figures []Figure) error {
	for _, figure := range figures {
		if os.Getenv(figure.Name) != figure.Raised {
			continue
		}
		if err := os.Setenv(figure.Name, figure.Plain); err != nil {
			return err
		}
	}
	return nil
}

func corrected(entries []string, figures []Figure) []string {
	result := slices.Clone(entries)
	for _, figure := range figures {
		for i, entry := range result {
			if entry == figure.Name+"="+figure.Raised {
				result[i] = figure.Name + "=" + figure.Plain
			}
		}
	}
	return result
}
