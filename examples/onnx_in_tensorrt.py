"""An engine for TensorRT from an exported file: python onnx_in_tensorrt.py aecrnet-s.onnx aecrnet-s.engine [SM89]

`streamdehaze export aecrnet-s --size 256x144 --batch 4 --precision float16` writes the file. StreamDehaze itself is not
needed here, but tensorrt and an NVIDIA GPU; or tensorrt-rtx, which builds without one for the architecture named last.
"""

import argparse
import sys

try:
    import tensorrt as trt
except ImportError:
    import tensorrt_rtx as trt

arguments = argparse.ArgumentParser(description=__doc__)
arguments.add_argument("graph")
arguments.add_argument("engine")
arguments.add_argument("architecture", nargs="?")
given = arguments.parse_args()
logger = trt.Logger(trt.Logger.ERROR)
builder = trt.Builder(logger)
strongly_typed = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)  # TensorRT 11 knows nothing else
network = builder.create_network(0 if strongly_typed is None else 1 << int(strongly_typed))
parser = trt.OnnxParser(network, logger)
if not parser.parse_from_file(given.graph):
    sys.exit(str(parser.get_error(0)))
if -1 in network.get_input(0).shape:
    sys.exit(f"{given.graph} takes pictures of any size; export it with --size and --batch")
config = builder.create_builder_config()
if given.architecture:
    config.num_compute_capabilities = 1
    config.set_compute_capability(getattr(trt.ComputeCapability, given.architecture), 0)
plan = builder.build_serialized_network(network, config)
if plan is None:
    sys.exit("the network could not be built")
with open(given.engine, "wb") as file:
    file.write(plan)
print(f"{given.engine}: {plan.nbytes / 1e6:.1f} MB for pictures of shape {tuple(network.get_input(0).shape)}")
