"""Make every photo of a folder clear, next to the originals: python photos_in_a_folder.py holiday/

EXIF, colour profile and resolution are kept. One network serves all the photos.
"""

import argparse
import sys
from pathlib import Path

from streamdehaze import Dehazer, StreamDehazeError, dehaze_image

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("folder", type=Path)
folder = parser.parse_args().folder
if not folder.is_dir():
    sys.exit(f"'{folder}' is not a folder")
photos = [p for p in sorted(folder.iterdir()) if p.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp", ".tif"}]
failed = 0
with Dehazer("aecrnet-s") as dehazer:
    for photo in photos:
        if photo.stem.endswith(".clear"):
            continue
        try:
            print(dehaze_image(photo, dehazer=dehazer, overwrite=True))
        except StreamDehazeError as error:  # one bad file does not stop the rest
            print(error, file=sys.stderr)
            failed += 1
raise SystemExit(1 if failed else 0)
