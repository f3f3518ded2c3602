"""How panels look: colours, thresholds, and one function for each kind of panel."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from grafana_foundation_sdk.builders import bargauge, heatmap, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.builders import common as common_build
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models import heatmap as heatmap_model
from grafana_foundation_sdk.models import prometheus as prometheus_model

# Okabe and Ito's colours: told apart with any kind of colour vision. Never red beside green.
FINE = "#56B4E9"
LOOK = "#F0E442"
ACT = "#D55E00"
SECOND = "#E69F00"
THIRD = "#CC79A7"
UNKNOWN = "#999999"

SOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")

# Beyond any sensible duration: where an expression says so, nothing moves or nothing expires.
YEAR_SECONDS = 365 * 24 * 3600


@dataclass(frozen=True)
class Nothing:
    """What is shown where there is no figure: grey, unless that is bad in itself. It must not look fine."""

    text: str = "unknown"
    color: str = UNKNOWN


@dataclass(frozen=True)
class Query:
    """An expression, and what its series are called."""

    expr: str
    legend: str


@dataclass(frozen=True)
class About:
    """What a panel's reader is told."""

    title: str
    says: str
    # When it is bad, and what to do then; nothing where it cannot be.
    bad: str = ""
    # Places in docs/operations: `alerts.md#lag-high`.
    places: list[str] = field(default_factory=list)

    def description(self) -> str:
        return f"{self.says}\n\n**Bad:** {self.bad}" if self.bad else self.says

    def links(self) -> list[build.DashboardLink]:
        return [link_to(place) for place in self.places]


def link_to(place: str) -> build.DashboardLink:
    """A link to a place in docs/operations, named after its page and section."""
    page, _, section = place.partition("#")
    title = ": ".join(part.replace("-", " ") for part in [page.removesuffix(".md").capitalize(), section] if part)
    return build.DashboardLink(title).type(dashboard.DashboardLinkType.LINK).url(f"${{docs}}/{place}").target_blank(True)


def steps(base: str, *limits: tuple[float, str]) -> build.ThresholdsConfig:
    """Thresholds: `base` below the first limit, then each colour from its limit on."""
    rising = [dashboard.Threshold(value=None, color=base)]
    rising += [dashboard.Threshold(value=value, color=color) for value, color in limits]
    return build.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(rising)


def fixed(color: str) -> build.FieldColor:
    return build.FieldColor().mode(dashboard.FieldColorModeId.FIXED).fixed_color(color)


def shades(color: str) -> build.FieldColor:
    return build.FieldColor().mode(dashboard.FieldColorModeId.SHADES).fixed_color(color)


def by_threshold() -> build.FieldColor:
    return build.FieldColor().mode(dashboard.FieldColorModeId.THRESHOLDS)


def color_property(color: str) -> dashboard.DynamicConfigValue:
    return dashboard.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": color})


def dashed() -> dashboard.DynamicConfigValue:
    return dashboard.DynamicConfigValue(id_val="custom.lineStyle", value={"fill": "dash", "dash": [8, 6]})


def value_texts(texts: dict[str, tuple[str, str]]) -> dashboard.ValueMap:
    """Text and colour in place of single values."""
    results = enumerate(texts.items())
    return dashboard.ValueMap(
        {value: dashboard.ValueMappingResult(text=text, color=color, index=index) for index, (value, (text, color)) in results}
    )


def text_from(least: float, text: str, color: str) -> dashboard.RangeMap:
    """Text and colour in place of all values from `least` on."""
    result = dashboard.ValueMappingResult(text=text, color=color, index=100)
    # An open end is null, and Grafana 11 takes that for 0.
    return dashboard.RangeMap(dashboard.DashboardRangeMapOptions(from_val=least, to=1e15, result=result))


def text_of_nothing(nothing: Nothing) -> dashboard.SpecialValueMap:
    result = dashboard.ValueMappingResult(text=nothing.text, color=nothing.color, index=200)
    options = dashboard.DashboardSpecialValueMapOptions(match=dashboard.SpecialValueMatch.NULL_AND_NAN, result=result)
    return dashboard.SpecialValueMap(options)


def target(query: Query, index: int) -> prometheus.Dataquery:
    made = prometheus.Dataquery().datasource(SOURCE).expr(query.expr).legend_format(query.legend)
    return made.editor_mode(prometheus_model.QueryEditorMode.CODE).ref_id(chr(ord("A") + index))


def described(panel, about: About, queries: list[Query], size: tuple[int, int], now_only: bool = False):
    """What all kinds of panels have in common."""
    width, height = size
    panel.title(about.title).description(about.description()).datasource(SOURCE).span(width).height(height)
    if about.places:
        panel.links(about.links())
    for index, query in enumerate(queries):
        made = target(query, index)
        panel.with_target(made.instant() if now_only else made.range())
    return panel


def figure(about: About, query: Query, size: tuple[int, int], texts: Sequence = (), nothing: Nothing = Nothing()) -> stat.Panel:
    """One figure, or one for each series, as of now: an old one would be a lie while nobody mirrors."""
    panel = described(stat.Panel(), about, [query], size, now_only=True)
    last = common_build.ReduceDataOptions().calcs(["lastNotNull"]).values(False)
    panel.reduce_options(last).graph_mode(common.BigValueGraphMode.NONE).text_mode(common.BigValueTextMode.AUTO)
    panel.color_mode(common.BigValueColorMode.BACKGROUND_SOLID).color_scheme(by_threshold())
    return panel.mappings([*texts, text_of_nothing(nothing)]).no_value(nothing.text)


def bar(about: About, query: Query, size: tuple[int, int]) -> bargauge.Panel:
    """One figure on a scale, as of now."""
    panel = described(bargauge.Panel(), about, [query], size, now_only=True)
    last = common_build.ReduceDataOptions().calcs(["lastNotNull"]).values(False)
    panel.reduce_options(last).display_mode(common.BarGaugeDisplayMode.BASIC).orientation(common.VizOrientation.HORIZONTAL)
    return panel.color_scheme(fixed(FINE)).mappings([text_of_nothing(Nothing())]).no_value(Nothing().text)


def lines(about: About, queries: list[Query], size: tuple[int, int], unit: str, colors: dict[str, str]) -> timeseries.Panel:
    """Lines over time. `colors` are by legend; what is not named gets a shade of blue."""
    panel = described(timeseries.Panel(), about, queries, size)
    legend = common_build.VizLegendOptions().display_mode(common.LegendDisplayMode.LIST).show_legend(True)
    legend.placement(common.LegendPlacement.BOTTOM).calcs(["lastNotNull", "max"])
    panel.unit(unit).axis_soft_min(0).legend(legend).color_scheme(shades(FINE)).line_width(2).fill_opacity(8)
    tooltip = common_build.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
    panel.tooltip(tooltip).show_points(common.VisibilityMode.NEVER)
    for name, color in colors.items():
        panel.override_by_name(name, [color_property(color)])
    return panel


def with_limits(panel: timeseries.Panel, limits: build.ThresholdsConfig) -> timeseries.Panel:
    """Draws the thresholds across the lines."""
    style = common_build.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
    return panel.thresholds(limits).thresholds_style(style)


def states(about: About, query: Query, size: tuple[int, int]) -> statetimeline.Panel:
    """Bars over time, a row for each series."""
    panel = described(statetimeline.Panel(), about, [query], size)
    legend = common_build.VizLegendOptions().display_mode(common.LegendDisplayMode.LIST).show_legend(False)
    panel.unit("short").legend(legend.placement(common.LegendPlacement.BOTTOM).calcs([]))
    return panel.show_value(common.VisibilityMode.NEVER).merge_values(True).row_height(0.8).color_scheme(fixed(FINE))


def density(about: About, query: Query, size: tuple[int, int], unit: str) -> heatmap.Panel:
    """A histogram's buckets over time."""
    panel = described(heatmap.Panel(), about, [], size)
    panel.with_target(target(query, 0).range().format(prometheus_model.PromQueryFormat.HEATMAP))
    color = heatmap.HeatmapColorOptions().mode(heatmap_model.HeatmapColorMode.SCHEME).scheme("Blues").steps(32)
    color.scale(heatmap_model.HeatmapColorScale.EXPONENTIAL).exponent(0.5).fill(FINE).reverse(False)
    panel.calculate(False).color(color).cell_gap(1).cell_values(heatmap.CellValues().unit("short"))
    panel.y_axis(heatmap.YAxisConfig().unit(unit).axis_placement(common.AxisPlacement.LEFT)).unit(unit)
    return panel.filter_values(heatmap.FilterValueRange().le(1e-9)).show_legend().show_y_histogram()
