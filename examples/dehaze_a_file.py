"""Make one foggy video clear: python dehaze_a_file.py foggy.mp4"""

import sys

from streamdehaze import dehaze_video

report = dehaze_video(sys.argv[1], overwrite=True)
print(f"{report.output}: {report.statistics.encode.frames} frames at {report.statistics.fps:.1f} fps")
