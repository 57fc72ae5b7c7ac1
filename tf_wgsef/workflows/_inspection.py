"""What a model costs and what can be removed from it, layer by layer."""

import dataclasses
import os
from collections.abc import Iterator

from rich import box
from rich.markup import escape
from rich.table import Table

from tf_wgsef.graph import ChannelGraph, Plan, Profile, build_channel_graph, plan_removal, profile
from tf_wgsef.groups import layers_of_channels
from tf_wgsef.report import plot_channel_graph
from tf_wgsef.terminal_text import clean


@dataclasses.dataclass(frozen=True)
class InspectedLayer:
    """One layer.

    Attributes:
        name: the layer's name.
        kind: its class.
        channels: size of the last axis of its output.
        parameters: number of weights.
        macs: multiply-accumulates for one sample.
        removable: number of its channels that a group covers, so that training can remove them.
        idle: number of its channels that do not matter already: ``strip`` removes them now.
        reason: why channels must stay, or what they are tied to.
    """

    name: str
    kind: str
    channels: int
    parameters: int
    macs: int
    removable: int
    idle: int
    reason: str


@dataclasses.dataclass(frozen=True)
class Inspection:
    """All layers of a model that have weights, and the totals.

    Attributes:
        model: the model's name.
        layers: in order of execution.
        parameters: number of weights.
        macs: multiply-accumulates for one sample.
        unknown_sizes: whether tensors have axes of unknown size, along which one position is counted.
    """

    model: str
    layers: tuple[InspectedLayer, ...]
    parameters: int
    macs: int
    unknown_sizes: bool

    def to_dict(self) -> dict:
        """Returns the inspection as JSON types."""
        return dataclasses.asdict(self)

    def table(self) -> Table:
        """Returns a ``rich`` table with one line per layer."""
        notes = ["Removable: channels that training can remove. Idle: channels that `strip` removes now."]
        if self.unknown_sizes:
            notes.append("Some sizes are unknown: MACs count one position along each.")
        table = Table(
            title=escape(clean(self.model)), show_footer=True, box=box.SIMPLE_HEAD, caption="\n".join(notes)
        )
        table.add_column("Layer", "Total", overflow="fold")
        for title, total in (
            ("Channels", ""),
            ("Parameters", f"{self.parameters:,}"),
            ("MACs", f"{self.macs:,}"),
            ("Removable", ""),
            ("Idle", ""),
        ):
            table.add_column(title, total, justify="right", no_wrap=True)
        table.add_column("Why not, or with whom")
        for layer in self.layers:
            table.add_row(
                f"{escape(clean(layer.name))} [dim]{escape(clean(layer.kind))}[/dim]",
                str(layer.channels),
                f"{layer.parameters:,}",
                f"{layer.macs:,}",
                str(layer.removable),
                str(layer.idle),
                escape(clean(layer.reason)),
            )
        return table


def inspect_model(
    model, *, graph_file: str | os.PathLike | None = None, overwrite: bool = False
) -> Inspection:
    """Reads a model's graph and says, per layer, what it costs and what can go.

    Args:
        model: a built Sequential or functional ``keras.Model``.
        graph_file: a .svg, .png or .pdf file to draw the graph into: which channels hang together, which
            ``strip`` removes now, and why the rest stays.
        overwrite: whether an existing ``graph_file`` may be replaced.

    Raises:
        InputError: if the graph of the model cannot be read, or ``graph_file`` cannot be written.

    Example:
        ``inspect_model(keras.models.load_model("model.keras")).layers[0].removable``
    """
    graph = build_channel_graph(model)
    cost, plan = profile(graph), plan_removal(graph)
    if graph_file is not None:
        keeps = {key: plan.keeps(ids) for key, ids in graph.ids.items()}
        plot_channel_graph(graph, graph_file, keeps=keeps, reasons=plan.reasons, overwrite=overwrite)
    rows = tuple(_inspect_layers(graph, cost, plan))
    unknown = any(None in shape[1:] for call in graph.calls for shape in call.output_shapes)
    return Inspection(graph.model.name, rows, cost.parameters, cost.macs, unknown)


def _inspect_layers(graph: ChannelGraph, cost: Profile, plan: Plan) -> Iterator[InspectedLayer]:
    ids = {call.name: graph.ids[call.outputs[0]] for call in graph.calls if call.outputs}
    makers = layers_of_channels(graph, "produce")
    inner = {
        call.name
        for call, axes in zip(graph.calls, graph.parameters, strict=True)
        if any(axis.role == "inner" for axis in axes) and not any(axis.role == "produce" for axis in axes)
    }
    grouped = {one for one in makers if one not in graph.pins}
    for layer in cost.layers:
        if not layer.parameters:
            continue
        mine = [one for one in ids[layer.name].tolist() if one in grouped and layer.name in makers[one]]
        tied = ", ".join(dict.fromkeys(name for one in mine for name in makers[one] if name != layer.name))
        pins = ["heads go as groups of kind 'head'"] if layer.name in inner else []
        pins += sorted({graph.pins[one] for one in ids[layer.name].tolist() if one in graph.pins})
        yield InspectedLayer(
            name=layer.name,
            kind=layer.kind,
            channels=layer.channels,
            parameters=layer.parameters,
            macs=layer.macs,
            removable=len(mine),
            idle=int((~plan.keeps(ids[layer.name])).sum()),
            reason="; ".join([*pins, *([f"tied: {tied}"] if tied else [])]),
        )
