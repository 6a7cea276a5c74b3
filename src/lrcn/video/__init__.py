"""Video files in, frames of numbers out: reading, sampling, transforms, optical flow, and labelled video back."""
