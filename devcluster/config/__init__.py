"""The file: text to typed values, with every problem at once and the place of each."""
