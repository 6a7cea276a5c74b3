"""The part of Caffe's protobuf schema that the importer reads; every other field is skipped as unknown.

Field numbers are those of caffe.proto (BVLC Caffe 9b89154, unchanged since 2014); the LRCN forks agree wherever they
have the field. Building the messages at run time spares a generated file that would pin the protobuf version.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from lrcn.errors import require

# A field is (number, type); a trailing * marks it repeated, packed or not, which the parser tells apart by itself.
# `data` is declared as bytes: packed floats have the same wire form, and NumPy reads those bytes in place instead of
# through one Python object a number. Files that do not pack their floats go through `UnpackedBlob`.
_MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "BlobShape": {"dim": (1, "int64*")},
    "BlobProto": {
        "num": (1, "int32"),
        "channels": (2, "int32"),
        "height": (3, "int32"),
        "width": (4, "int32"),
        "data": (5, "bytes*"),
        "shape": (7, "BlobShape"),
        "double_data": (8, "double*"),
    },
    "UnpackedBlob": {"data": (5, "float*")},
    "NetParameter": {
        "name": (1, "string"),
        "layers": (2, "V1LayerParameter*"),
        "input": (3, "string*"),
        "input_dim": (4, "int32*"),
        "input_shape": (8, "BlobShape*"),
        "layer": (100, "LayerParameter*"),
    },
    "LayerParameter": {
        "name": (1, "string"),
        "type": (2, "string"),
        "bottom": (3, "string*"),
        "top": (4, "string*"),
        "blobs": (7, "BlobProto*"),
        "transform_param": (100, "TransformationParameter"),
        "convolution_param": (106, "ConvolutionParameter"),
        "inner_product_param": (117, "InnerProductParameter"),
        "lrn_param": (118, "LRNParameter"),
        "pooling_param": (121, "PoolingParameter"),
        "relu_param": (123, "ReLUParameter"),
        "python_param": (130, "PythonParameter"),
        "input_param": (143, "InputParameter"),
    },
    "V1LayerParameter": {
        "layer": (1, "bytes"),  # set only in the format before V1, which nests a layer of its own here
        "bottom": (2, "string*"),
        "top": (3, "string*"),
        "name": (4, "string"),
        "type": (5, "V1LayerType"),
        "blobs": (6, "BlobProto*"),
        "convolution_param": (10, "ConvolutionParameter"),
        "inner_product_param": (17, "InnerProductParameter"),
        "lrn_param": (18, "LRNParameter"),
        "pooling_param": (19, "PoolingParameter"),
        "relu_param": (30, "ReLUParameter"),
        "transform_param": (36, "TransformationParameter"),
    },
    "TransformationParameter": {"crop_size": (3, "uint32"), "mean_value": (5, "float*")},
    "ConvolutionParameter": {
        "pad": (3, "uint32*"),
        "kernel_size": (4, "uint32*"),
        "group": (5, "uint32"),
        "stride": (6, "uint32*"),
        "pad_h": (9, "uint32"),
        "pad_w": (10, "uint32"),
        "kernel_h": (11, "uint32"),
        "kernel_w": (12, "uint32"),
        "stride_h": (13, "uint32"),
        "stride_w": (14, "uint32"),
        "dilation": (18, "uint32*"),
    },
    "PoolingParameter": {
        "pool": (1, "PoolMethod"),
        "kernel_size": (2, "uint32*"),
        "stride": (3, "uint32*"),
        "pad": (4, "uint32*"),
        "kernel_h": (5, "uint32"),
        "kernel_w": (6, "uint32"),
        "stride_h": (7, "uint32"),
        "stride_w": (8, "uint32"),
        "pad_h": (9, "uint32"),
        "pad_w": (10, "uint32"),
        "global_pooling": (12, "bool"),
    },
    "LRNParameter": {
        "local_size": (1, "uint32"),
        "alpha": (2, "float"),
        "beta": (3, "float"),
        "norm_region": (4, "NormRegion"),
        "k": (5, "float"),
    },
    "InnerProductParameter": {"transpose": (6, "bool")},
    "ReLUParameter": {"negative_slope": (1, "float")},
    "PythonParameter": {"layer": (2, "string")},
    "InputParameter": {"shape": (1, "BlobShape*")},
}

_ENUMS: dict[str, dict[str, int]] = {
    "PoolMethod": {"MAX": 0, "AVE": 1, "STOCHASTIC": 2},
    "NormRegion": {"ACROSS_CHANNELS": 0, "WITHIN_CHANNEL": 1},
    # all of them, because a prototxt gives them by name
    "V1LayerType": dict(
        NONE=0,
        ACCURACY=1,
        BNLL=2,
        CONCAT=3,
        CONVOLUTION=4,
        DATA=5,
        DROPOUT=6,
        EUCLIDEAN_LOSS=7,
        FLATTEN=8,
        HDF5_DATA=9,
        HDF5_OUTPUT=10,
        IM2COL=11,
        IMAGE_DATA=12,
        INFOGAIN_LOSS=13,
        INNER_PRODUCT=14,
        LRN=15,
        MULTINOMIAL_LOGISTIC_LOSS=16,
        POOLING=17,
        RELU=18,
        SIGMOID=19,
        SOFTMAX=20,
        SOFTMAX_LOSS=21,
        SPLIT=22,
        TANH=23,
        WINDOW_DATA=24,
        ELTWISE=25,
        POWER=26,
        SIGMOID_CROSS_ENTROPY_LOSS=27,
        HINGE_LOSS=28,
        MEMORY_DATA=29,
        ARGMAX=30,
        THRESHOLD=31,
        DUMMY_DATA=32,
        SLICE=33,
        MVN=34,
        ABSVAL=35,
        SILENCE=36,
        CONTRASTIVE_LOSS=37,
        EXP=38,
        DECONVOLUTION=39,
    ),
}


@cache
def message_class(name: str) -> Any:
    """The protobuf class of a message of the table above, `NetParameter` for example.

    Raises:
        MissingExtraError: If protobuf is not installed.
    """
    factory = require("google.protobuf.message_factory", extra="caffe", wanted_by="reading a caffemodel")
    return factory.GetMessageClass(_pool().FindMessageTypeByName(f"lrcn.caffe.{name}"))


@cache
def _pool() -> Any:
    descriptor_pb2 = require("google.protobuf.descriptor_pb2", extra="caffe", wanted_by="reading a caffemodel")
    descriptor_pool = require("google.protobuf.descriptor_pool", extra="caffe", wanted_by="reading a caffemodel")
    file = descriptor_pb2.FileDescriptorProto(name="lrcn/caffe.proto", package="lrcn.caffe", syntax="proto2")
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, values in _ENUMS.items():
        enum = file.enum_type.add(name=name)
        for key, number in values.items():
            # proto2 puts the names of an enum into the scope around it
            enum.value.add(name=key, number=number)
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for key, (number, kind) in fields.items():
            scalar = kind.rstrip("*")
            entry = message.field.add(name=key, number=number)
            entry.label = kinds.LABEL_REPEATED if kind.endswith("*") else kinds.LABEL_OPTIONAL
            if scalar in _MESSAGES:
                entry.type, entry.type_name = kinds.TYPE_MESSAGE, f".lrcn.caffe.{scalar}"
            elif scalar in _ENUMS:
                entry.type, entry.type_name = kinds.TYPE_ENUM, f".lrcn.caffe.{scalar}"
            else:
                entry.type = getattr(kinds, f"TYPE_{scalar.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return pool
