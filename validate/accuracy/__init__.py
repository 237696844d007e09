"""Accuracy of ONNX classifiers on labelled data."""
