"""Make one foggy video clear: python dehaze_a_file.py foggy.mp4"""

import argparse
import sys

from streamdehaze import StreamDehazeError, dehaze_video

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("video")
try:
    report = dehaze_video(parser.parse_args().video, overwrite=True)
except StreamDehazeError as error:  # one sentence: what was wrong, and what to do
    sys.exit(str(error))
print(f"{report.output}: {report.statistics.encode.frames} frames at {report.statistics.fps:.1f} fps")
