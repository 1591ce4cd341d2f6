"""Training of the recall model: lives made on the fly, what is learned from them, and the run."""
