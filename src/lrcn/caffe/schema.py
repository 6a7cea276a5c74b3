"""The part of Caffe's protobuf schema that the importer reads; every other field is skipped as unknown.

Field numbers are those of caffe.proto (BVLC Caffe 9b89154, unchanged since 2014); the LRCN forks agree wherever they
have the field. Building the messages at run time spares a generated file that would pin the protobuf version.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from lrcn.errors import require

# A field has a name, a number and a type; a trailing * marks it repeated, packed or not, which the parser tells apart
# by itself. `data` is declared as bytes: packed floats have the same wire form, and NumPy reads those bytes in place
# instead of through one Python object a number. Files that do not pack their floats go through `UnpackedBlob`. `layer`
# of `V1LayerParameter` is set only in the format before V1, which nests a layer of its own there.
_FIELDS = """
BlobShape: dim 1 int64*
BlobProto: num 1 int32, channels 2 int32, height 3 int32, width 4 int32, data 5 bytes*, shape 7 BlobShape,
    double_data 8 double*
UnpackedBlob: data 5 float*
NetParameter: name 1 string, layers 2 V1LayerParameter*, input 3 string*, input_dim 4 int32*,
    input_shape 8 BlobShape*, layer 100 LayerParameter*
LayerParameter: name 1 string, type 2 string, bottom 3 string*, top 4 string*, blobs 7 BlobProto*,
    transform_param 100 TransformationParameter, convolution_param 106 ConvolutionParameter,
    inner_product_param 117 InnerProductParameter, lrn_param 118 LRNParameter, pooling_param 121 PoolingParameter,
    relu_param 123 ReLUParameter, python_param 130 PythonParameter, input_param 143 InputParameter
V1LayerParameter: layer 1 bytes, bottom 2 string*, top 3 string*, name 4 string, type 5 V1LayerType,
    blobs 6 BlobProto*, convolution_param 10 ConvolutionParameter, inner_product_param 17 InnerProductParameter,
    lrn_param 18 LRNParameter, pooling_param 19 PoolingParameter, relu_param 30 ReLUParameter,
    transform_param 36 TransformationParameter
TransformationParameter: scale 1 float, crop_size 3 uint32, mean_file 4 string, mean_value 5 float*,
    force_gray 7 bool
ConvolutionParameter: pad 3 uint32*, kernel_size 4 uint32*, group 5 uint32, stride 6 uint32*, pad_h 9 uint32,
    pad_w 10 uint32, kernel_h 11 uint32, kernel_w 12 uint32, stride_h 13 uint32, stride_w 14 uint32,
    dilation 18 uint32*
PoolingParameter: pool 1 PoolMethod, kernel_size 2 uint32*, stride 3 uint32*, pad 4 uint32*, kernel_h 5 uint32,
    kernel_w 6 uint32, stride_h 7 uint32, stride_w 8 uint32, pad_h 9 uint32, pad_w 10 uint32, global_pooling 12 bool
LRNParameter: local_size 1 uint32, alpha 2 float, beta 3 float, norm_region 4 NormRegion, k 5 float
InnerProductParameter: transpose 6 bool
ReLUParameter: negative_slope 1 float
PythonParameter: layer 2 string
InputParameter: shape 1 BlobShape*
"""

# Values are counted from 0; all of `V1LayerType`, because a prototxt gives them by name.
_VALUES = """
PoolMethod: MAX, AVE, STOCHASTIC
NormRegion: ACROSS_CHANNELS, WITHIN_CHANNEL
V1LayerType: NONE, ACCURACY, BNLL, CONCAT, CONVOLUTION, DATA, DROPOUT, EUCLIDEAN_LOSS, FLATTEN, HDF5_DATA,
    HDF5_OUTPUT, IM2COL, IMAGE_DATA, INFOGAIN_LOSS, INNER_PRODUCT, LRN, MULTINOMIAL_LOGISTIC_LOSS, POOLING, RELU,
    SIGMOID, SOFTMAX, SOFTMAX_LOSS, SPLIT, TANH, WINDOW_DATA, ELTWISE, POWER, SIGMOID_CROSS_ENTROPY_LOSS,
    HINGE_LOSS, MEMORY_DATA, ARGMAX, THRESHOLD, DUMMY_DATA, SLICE, MVN, ABSVAL, SILENCE, CONTRASTIVE_LOSS, EXP,
    DECONVOLUTION
"""


def _rows(table: str) -> dict[str, list[list[str]]]:
    """Return name -> entries, each as its words."""
    rows = re.findall(r"^(\w+): ((?:.|\n )+)", table, flags=re.MULTILINE)
    return {name: [entry.split() for entry in entries.split(",")] for name, entries in rows}


_MESSAGES, _ENUMS = _rows(_FIELDS), _rows(_VALUES)


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
        for place, (value,) in enumerate(values):
            # proto2 puts the names of an enum into the scope around it
            enum.value.add(name=value, number=place)
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for key, number, kind in fields:
            scalar = kind.rstrip("*")
            entry = message.field.add(name=key, number=int(number))
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
