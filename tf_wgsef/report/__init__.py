"""Values → tables, pictures, JSON, one self-contained HTML page; runs nothing itself."""

from tf_wgsef.report._channel_graph_plot import check_graph_file as check_graph_file
from tf_wgsef.report._channel_graph_plot import plot_channel_graph as plot_channel_graph
from tf_wgsef.report._explain import explain_latency as explain_latency
from tf_wgsef.report._html import render_html as render_html
from tf_wgsef.report._latency_plot import render_latency_png as render_latency_png
from tf_wgsef.report._latency_table import explain_prediction as explain_prediction
from tf_wgsef.report._latency_table import render_latency_table as render_latency_table
from tf_wgsef.report._methods import FIGURES as FIGURES
from tf_wgsef.report._methods import MethodRow as MethodRow
from tf_wgsef.report._methods import best_methods as best_methods
from tf_wgsef.report._methods import method_rows as method_rows
from tf_wgsef.report._methods import shape_label as shape_label
from tf_wgsef.report._methods_page import render_methods_html as render_methods_html
from tf_wgsef.report._methods_plot import render_methods_png as render_methods_png
from tf_wgsef.report._methods_table import render_methods_markdown as render_methods_markdown
from tf_wgsef.report._methods_table import render_methods_table as render_methods_table
from tf_wgsef.report._plot import render_figure as render_figure
from tf_wgsef.report._plot import render_png as render_png
from tf_wgsef.report._save import load_report as load_report
from tf_wgsef.report._save import render_json as render_json
from tf_wgsef.report._save import save_report as save_report
from tf_wgsef.report._table import render_table as render_table
from tf_wgsef.report._values import Comparison as Comparison
from tf_wgsef.report._values import LayerRow as LayerRow
from tf_wgsef.report._values import Report as Report
from tf_wgsef.report._values import Variant as Variant
