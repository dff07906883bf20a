from .dehaze import Dehazer as Dehazer
from .errors import StreamDehazeError as StreamDehazeError
from .frame import ColorSpec as ColorSpec
from .frame import Frame as Frame
from .frame import PixelFormat as PixelFormat
from .frame import VideoInfo as VideoInfo
from .live import CameraConfig as CameraConfig
from .live import LivePipeline as LivePipeline
from .network import list_checkpoints as list_checkpoints
from .network import load_network as load_network
from .pipeline import Report as Report
from .pipeline import dehaze_image as dehaze_image
from .pipeline import dehaze_video as dehaze_video
from .pipeline import open_sink as open_sink
from .pipeline import open_source as open_source
from .video import EncodeOptions as EncodeOptions
from .video import Reader as Reader
from .video import ReadOptions as ReadOptions
from .video import Sink as Sink
from .video import Source as Source
from .video import Writer as Writer

__version__: str
