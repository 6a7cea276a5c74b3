"""From a data set to a model file. The only part of the package that imports Lightning."""
