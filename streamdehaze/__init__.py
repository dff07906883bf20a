"""StreamDehaze makes hazy, foggy or smoky video clear: files, photos and live cameras.

`__init__.pyi` lists the public names. Each is imported when it is first used: numpy, torch, OpenCV and FFmpeg together
take seconds.
"""

from importlib.metadata import version

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

__version__ = version("streamdehaze")
