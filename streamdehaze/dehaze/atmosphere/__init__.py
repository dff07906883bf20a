"""What the pipeline does about colour, brightness and foreign black, so that the network need only do haze.

All of it happens on the small picture, before and after the network; the maps carry it to full size:

1. what is not the scene is filled from its surroundings (`streamdehaze.dehaze.frame_mask`);
2. the picture is balanced by the airlight (`airlight`);
3. the network's answer loses its halos (`refine`), as much of its change is made as the measured haze lets expect,
   physics replaces it where the haze is of a known colour that no network learns (`boundary`), and the sky stays as it
   was seen (`sky`);
4. the answer gets back what the balance took of the tint;
5. about the hazy picture's brightness (`tone`);
6. and no colour that the haze leaves nothing of to be seen (`casts`).

Airlight and brightness follow the video slowly, so that nothing pumps; at a cut they start again.
"""

from streamdehaze.dehaze.atmosphere.atmosphere import Atmosphere, Balanced

__all__ = ["Atmosphere", "Balanced"]
