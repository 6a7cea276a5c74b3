"""Reading the nets of the LRCN release: .caffemodel files to model files."""
