"""What runs a recognition model: torch, ONNX Runtime or OpenVINO, behind one interface."""
