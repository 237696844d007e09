"""A complete small experiment: pruning and quantization of two classifiers of handwritten digits, trained here.

``python -m roofline.validate.studies.digits`` trains an MLP and a CNN on scikit-learn's digits (real scans, nothing to
download), compresses them, measures their accuracy, predicts their speed with Equation 1 and measures it.
"""
