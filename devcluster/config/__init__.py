"""The file: from text to typed values, with all problems at once and the position of each."""
