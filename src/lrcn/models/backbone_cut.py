"""Cut a network at a layer: trace it, keep what the layer needs, drop the rest with its weights."""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from torch import fx, nn

from lrcn.errors import ConfigError, UnknownNameError


def cut_plainly(network: nn.Module, layers: Sequence[str]) -> nn.Module:
    """What `cut` gives, by torch.fx alone, of a network that it can follow.

    Args:
        network: Whole; its modules are shared, and with several layers change nothing in place any more.
        layers: Paths of modules that are called once.
    """
    tracer = _PathTracer()
    graph = tracer.trace(network)
    (last,) = graph.find_nodes(op="output")
    graph.erase_node(last)
    graph.output({str(place): tracer.gave[layer] for place, layer in enumerate(layers)})
    part = fx.GraphModule(network, graph)
    part.graph.eliminate_dead_code()
    part.delete_all_unused_submodules()
    part.recompile()
    if len(layers) > 1:
        _stop_changing_in_place(part)
    return part


class _PathTracer(fx.Tracer):
    """Notes what each module gave."""

    def __init__(self) -> None:
        super().__init__()
        self.gave: dict[str, fx.Node] = {}

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        given = super().call_module(m, forward, args, kwargs)
        self.gave[self.path_of_module(m)] = given.node
        return given


def cut(network: nn.Module, layers: Sequence[str], *, name: str, short_names: Iterable[str] = ()) -> nn.Module:
    """The part of `network` that `layers` need; its output is a dictionary of their tensors, in this order.

    Args:
        network: Whole; its modules are shared, and with several layers change nothing in place any more.
        layers: Paths of modules, or names that torchvision's graph gives operations inside them.
        name: Of the backbone, for errors.
        short_names: More names to offer where there is no such layer.

    Raises:
        UnknownNameError: If there is no such layer; the message names near matches.
        ConfigError: If the network cannot be traced.
    """
    from torchvision.models.feature_extraction import create_feature_extractor

    modules = dict(network.named_modules())
    # an operation's name is rare, and listing all names takes as long as cutting
    layer = next((layer for layer in layers if layer not in modules and layer not in node_names(network)), layers[0])
    if layer in modules or layer in node_names(network):
        with _tracing(network), suppress(ValueError):  # never called, or inside a module that is not traced
            wanted = {layer: str(place) for place, layer in enumerate(layers)}
            part: fx.GraphModule = create_feature_extractor(network, wanted, tracer_kwargs=_tracer_options())
            if len(layers) > 1:
                _stop_changing_in_place(part)
            return part
    nodes = node_names(network)
    paths = {".".join(parts[:i]) for parts in (node.split(".") for node in nodes) for i in range(1, len(parts) + 1)}
    names = dict.fromkeys([*short_names, *sorted(paths)])
    near = difflib.get_close_matches(layer, names, n=5, cutoff=0.4)
    raise UnknownNameError(
        f"unknown layer {layer!r} of backbone {name!r}; near matches: {', '.join(near or [*short_names, *nodes[-5:]])}"
    )


def _stop_changing_in_place(part: fx.GraphModule) -> None:
    """Let activations make new tensors: what a layer gave must still be there when later ones have read it."""
    for module in part.modules():
        if getattr(module, "inplace", False):
            setattr(module, "inplace", False)  # noqa: B010 - not every module has it
    for node in part.graph.nodes:
        if node.kwargs.get("inplace"):
            node.kwargs = {**node.kwargs, "inplace": False}
    part.recompile()


def node_names(network: nn.Module) -> list[str]:
    """Names of all operations in the order in which evaluation runs them.

    Raises:
        ConfigError: If the network cannot be traced.
    """
    from torchvision.models.feature_extraction import get_graph_node_names

    with _tracing(network):
        names: list[str] = get_graph_node_names(network, _tracer_options(), suppress_diff_warning=True)[1]
    return names


def layer_before_classifier(network: nn.Module) -> str:
    """The last feature before the classifier of a torchvision network.

    The classifier is the last Linear (in SqueezeNet: Conv2d). Going back from it over dropout, flattening and global
    average pooling leads to the last feature map, so that a grid has a map to work on; averaging it to 1 x 1 gives
    what the classifier read. Where the classifier reads a vector, that vector is the feature.
    """
    modules = dict(network.named_modules())
    names = node_names(network)
    last = max(i for i, name in enumerate(names) if isinstance(modules.get(name), nn.Linear | nn.Conv2d))
    for name in reversed(names[:last]):
        passed_over = isinstance(modules.get(name), nn.Dropout | nn.Flatten | nn.AdaptiveAvgPool2d)
        if not passed_over and re.sub(r"_\d+$", "", name) not in ("flatten", "mean", "adaptive_avg_pool2d"):
            return name
    raise ConfigError(f"{type(network).__name__} has nothing before its classifier: name a layer")


def _tracer_options() -> dict[str, list[object]]:
    """What timm marks as not to be looked into; for example padding that depends on the size of the input."""
    import timm.layers

    return {
        "leaf_modules": list(timm.layers.get_notrace_modules()),  # type: ignore[no-untyped-call]
        "autowrap_functions": list(timm.layers.get_notrace_functions()),  # type: ignore[no-untyped-call]
    }


@contextmanager
def _tracing(network: nn.Module) -> Iterator[None]:
    with warnings.catch_warnings():
        # auxiliary classifiers make the graphs of training and evaluation differ, after the cut
        warnings.filterwarnings("ignore", "(?s)NOTE: The nodes obtained by tracing", UserWarning)
        try:
            yield
        except Exception as exc:  # whatever a forward meets when it is run on symbols
            if isinstance(exc, ValueError) and "is not present in model" in str(exc):
                raise
            raise ConfigError(
                f"{type(network).__name__} cannot be cut at a layer ({type(exc).__name__} while tracing): "
                "leave layer empty"
            ) from exc
