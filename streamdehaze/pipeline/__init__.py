"""The pipeline: decode → dehaze → apply → encode in threads, with bounded queues and the first error winning."""

from streamdehaze.pipeline.ends import open_sink, open_source
from streamdehaze.pipeline.job import dehaze_image, dehaze_video
from streamdehaze.pipeline.options import RunOptions
from streamdehaze.pipeline.pipeline import Pipeline
from streamdehaze.pipeline.report import Report
from streamdehaze.pipeline.statistics import StageStatistics, Statistics

__all__ = [
    "Pipeline",
    "Report",
    "RunOptions",
    "StageStatistics",
    "Statistics",
    "dehaze_image",
    "dehaze_video",
    "open_sink",
    "open_source",
]
