"""What a report holds: plain values, checked when they are made, that survive a trip through JSON.

Nothing here runs a model. The stages hand over numbers; this file gives them a shape that the
table, the picture and the page share.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from tf_wgsef.errors import InputError
from tf_wgsef.report import _checks as checks

SCHEMA = {"name": "tf_wgsef.report", "version": 1}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Variant:
    """One form of the model, such as "dense float", "stripped int8" or "narrow float".

    Attributes:
        name: how tables and comparisons call it; unique in a report.
        parameters: number of weights.
        macs: multiply-accumulates of one inference.
        file_bytes: size of the ``.tflite`` file in bytes, None if there is none.
        latency: ``LatencyStats.to_dict()`` without raw samples: times in microseconds under
            ``p50`` (or ``p50_us``) and so on; any may be missing. None if it was not measured.
        accuracy: share of right answers in [0, 1] of this very form, None if unknown.
        accuracy_on: the data the accuracy was taken on.
    """

    name: str
    parameters: int
    macs: int
    file_bytes: int | None = None
    latency: dict[str, Any] | None = None
    accuracy: float | None = None
    accuracy_on: str = ""

    def __post_init__(self):
        checks.check_fields(
            self,
            name=checks.text,
            parameters=checks.count,
            macs=checks.count,
            file_bytes=checks.optional(checks.count),
            latency=checks.optional(checks.table(checks.json_value)),
            accuracy=checks.optional(checks.share),
            accuracy_on=checks.text,
        )
        checks.optional(checks.number)("Variant.latency.p50", self.p50_us)
        unit = (self.latency or {}).get("unit", "microseconds")
        if unit != "microseconds":
            raise InputError(
                f"Expected a latency in microseconds. Received: unit={unit!r:.80}. Pass what "
                f"LatencyStats.to_dict() returns."
            )

    @property
    def p50_us(self) -> float | None:
        """The median latency in microseconds, None if it was not measured."""
        latency = self.latency or {}
        return latency.get("p50", latency.get("p50_us"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerRow:
    """What stripping did to one layer.

    Attributes:
        name: the layer's name.
        kind: its class, such as "Conv2D".
        channels_before: output channels (filters, neurons) of the dense layer, None if it has none.
        channels_after: the same of the stripped layer; 0 if the layer went.
        parameters_before: number of weights of the dense layer.
        parameters_after: the same of the stripped layer.
        macs_before: multiply-accumulates of the dense layer.
        macs_after: the same of the stripped layer.
        note: why something stayed, empty if there is nothing to say.
        latency_us_before: time of the dense layer in microseconds, None if it was not profiled.
        latency_us_after: the same of the stripped layer.
    """

    name: str
    kind: str
    channels_before: int | None = None
    channels_after: int | None = None
    parameters_before: int = 0
    parameters_after: int = 0
    macs_before: int = 0
    macs_after: int = 0
    note: str = ""
    latency_us_before: float | None = None
    latency_us_after: float | None = None

    def __post_init__(self):
        checks.check_fields(
            self,
            name=checks.text,
            kind=checks.text,
            channels_before=checks.optional(checks.count),
            channels_after=checks.optional(checks.count),
            parameters_before=checks.count,
            parameters_after=checks.count,
            macs_before=checks.count,
            macs_after=checks.count,
            note=checks.text,
            latency_us_before=checks.optional(checks.number),
            latency_us_after=checks.optional(checks.number),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """The latencies of two variants, measured interleaved in one run.

    Attributes:
        a: name of the first variant.
        b: name of the second variant.
        ratio: latency of ``a`` divided by latency of ``b``: ``b`` is ``ratio`` times as fast.
        low: lower end of the ratio's interval.
        high: upper end of the ratio's interval.
        confidence: of the interval, 0.95 for 95 %.
        claims_difference: False if a difference must not be claimed, for instance after throttling.
        note: why no difference is claimed, or how it was measured.
    """

    a: str
    b: str
    ratio: float
    low: float
    high: float
    confidence: float = 0.95
    claims_difference: bool = True
    note: str = ""

    def __post_init__(self):
        checks.check_fields(
            self,
            a=checks.text,
            b=checks.text,
            ratio=checks.number,
            low=checks.number,
            high=checks.number,
            confidence=checks.share,
            claims_difference=checks.flag,
            note=checks.text,
        )
        if self.ratio == 0 or not self.low <= self.high:
            raise InputError(
                f"Expected a ratio above 0 and low <= high for {self.a!r} and {self.b!r}. "
                f"Received: ratio={self.ratio}, low={self.low}, high={self.high}."
            )

    @property
    def differs(self) -> bool:
        """Whether a difference may be printed: it is claimed, and 1 is outside the interval."""
        return self.claims_difference and not self.low <= 1 <= self.high


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """All values of a report; the first variant is the one that the others are compared with.

    Attributes:
        title: what was made smaller, such as "LeNet-5 on handwritten digits".
        variants: the forms of the model, the baseline first.
        layers: one row per layer, baseline → stripped.
        comparisons: latencies of pairs of variants, measured interleaved.
        notes: sentences about anything else that a reader must know.
        explanation: why latency fell less than the MACs, from :func:`explain_latency`.
        history: per-epoch curves, such as ``accuracy``, ``val_accuracy``, ``live_groups``.
        phases: name of each training phase → its number of epochs, in order.
        environment: machine, os, python, versions, command, date and so on.
        max_abs_diff: largest output difference between the model before and after stripping.
        output_range: range of the outputs that the difference is compared with.

    Example:
        >>> dense = Variant(name="dense float", parameters=431_080, macs=2_293_000)
        >>> small = Variant(name="stripped float", parameters=27_000, macs=200_000)
        >>> report = Report(title="LeNet-5", variants=(dense, small))
        >>> report.headline.name
        'stripped float'
    """

    title: str
    variants: tuple[Variant, ...]
    layers: tuple[LayerRow, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    notes: tuple[str, ...] = ()
    explanation: tuple[str, ...] = ()
    history: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    phases: dict[str, int] = dataclasses.field(default_factory=dict)
    environment: dict[str, Any] = dataclasses.field(default_factory=dict)
    max_abs_diff: float | None = None
    output_range: float | None = None

    def __post_init__(self):
        checks.check_fields(
            self,
            title=checks.text,
            variants=checks.tuple_of(checks.instance_of(Variant)),
            layers=checks.tuple_of(checks.instance_of(LayerRow)),
            comparisons=checks.tuple_of(checks.instance_of(Comparison)),
            notes=checks.tuple_of(checks.text),
            explanation=checks.tuple_of(checks.text),
            history=checks.table(checks.curve),
            phases=checks.table(checks.count),
            environment=checks.table(checks.json_value),
            max_abs_diff=checks.optional(checks.number),
            output_range=checks.optional(checks.number),
        )
        self._check_names()

    def _check_names(self):
        names = [variant.name for variant in self.variants]
        if not names or len(set(names)) < len(names):
            raise InputError(
                f"Expected at least one variant, each with its own name. Received: variants={names}."
            )
        for name in (name for pair in self.comparisons for name in (pair.a, pair.b)):
            if name not in names:
                raise InputError(
                    f"Expected comparisons between the report's variants {names}. "
                    f"Received: {name!r}. Use the name of a variant."
                )

    @property
    def baseline(self) -> Variant:
        """The variant that the others are compared with: the first."""
        return self.variants[0]

    @property
    def headline(self) -> Variant | None:
        """The variant that the page opens with: the first one compared with the baseline."""
        rivals = [pair.b for pair in self.comparisons if pair.a == self.baseline.name]
        named = [variant for variant in self.variants[1:] if variant.name in rivals[:1]]
        return next(iter(named or self.variants[1:]), None)

    def comparison(self, a: str, b: str) -> Comparison | None:
        """Returns the comparison of the variants named ``a`` and ``b``, None if none was made."""
        return next((pair for pair in self.comparisons if (pair.a, pair.b) == (a, b)), None)

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as JSON types, with the schema that :meth:`from_dict` checks."""
        fields = dataclasses.asdict(self)
        fields["history"] = {
            name: [None if math.isnan(value) else value for value in values]
            for name, values in self.history.items()
        }
        plain = checks.json_value("Report", fields)
        return {"schema": dict(SCHEMA), **plain}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Report":
        """Returns the report that :meth:`to_dict` wrote.

        Args:
            values: the JSON object.

        Raises:
            InputError: if it is no report of this package, or of another version, or damaged.
        """
        schema = values.get("schema") if isinstance(values, Mapping) else None
        name = schema.get("name") if isinstance(schema, Mapping) else None
        if name != SCHEMA["name"]:
            raise InputError(
                f"Expected a report written by tf_wgsef, whose schema is {SCHEMA['name']!r}. "
                f"Received: schema={schema!r:.80}. Pass a report.json of `tf-wgsef demo` or "
                "save_report."
            )
        if schema.get("version") != SCHEMA["version"]:
            raise InputError(
                f"Expected version {SCHEMA['version']} of {SCHEMA['name']}. Received: "
                f"version={schema.get('version')!r:.80}. Write the report again with this tf_wgsef."
            )
        fields = {key: value for key, value in values.items() if key != "schema"}
        return checks.build(cls, "the report", fields)
