"""LRCN: a CNN looks at every frame, an LSTM reads the sequence."""
