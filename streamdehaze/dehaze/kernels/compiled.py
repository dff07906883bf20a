"""Loops that numba compiles once, and whose machine code is kept, so that the next start needs no numba.

To import numba and have it load what it cached takes 0.45 s of processor time, a third of what `run` needs for two
seconds of video. So the code of each loop is taken out of what numba made (`inspect_llvm`), translated by llvmlite and
written to a file; from then on llvmlite loads the file and ctypes calls it, which takes 0.05 s. A file is used on the
same processor, for the same source, numba and llvmlite. Without one, or where anything about it is unexpected, numba
compiles and runs the loop as it always did.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import os
import re
import struct
import sys
import threading
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from streamdehaze.durable import cache_folder, write_whole

_log = logging.getLogger(__name__)

_ENTRY, _LOOP = "streamdehaze_packed_loop", "streamdehaze_loop"
_NONE = b""
"""In place of machine code: numba must run this loop."""
_DIGEST = 16
"""Bytes in front of the code: its hash, because a file may be cut short."""

Argument = Any
"""An array in C order, an int or a float."""
_lock = threading.RLock()
_loaded: list[Any] = []
"""What owns the machine code in use."""


class Loop:
    """A function of arrays and numbers that returns nothing and allocates nothing, compiled for each kind of arguments.

    Args:
        function: what numba compiles; it releases the interpreter lock, and its divisions by zero are not looked for.

    Example:
        >>> @Loop
        ... def double(row, out):
        ...     for x in range(row.size):
        ...         out[x] = 2 * row[x]
        >>> double(np.arange(3.0), np.empty(3))
    """

    def __init__(self, function: Callable[..., None]) -> None:
        self._function = function
        self._calls: dict[tuple[object, ...], Callable[..., None]] = {}
        functools.update_wrapper(self, function)

    def __call__(self, *arguments: Argument) -> None:
        key = tuple([_quick_kind(argument) for argument in arguments])
        call = self._calls.get(key)
        if call is None:
            with _lock:
                call = self._calls.get(key) or self._prepared(arguments)
                self._calls[key] = call
        call(*arguments)

    def _prepared(self, arguments: tuple[Argument, ...]) -> Callable[..., None]:
        kinds = tuple(_kind(argument) for argument in arguments)
        if "" in kinds:  # some other order of memory: numba compiles a version for it
            return self._by_numba()
        name = f"{self._function.__name__}-{self._key(kinds)}.o"
        for folder in _folders():
            code = _read(folder / name)
            if code == _NONE:
                return self._by_numba()
            if code is not None:
                try:
                    return _native(code, kinds)
                except Exception as error:
                    _log.debug("the machine code %s cannot be used: %s", folder / name, error)
        code = self._compiled(name, kinds, arguments)
        self._keep(name, code)
        return _native(code, kinds) if code != _NONE else self._by_numba()

    def _by_numba(self) -> Callable[..., None]:
        function: Callable[..., None] = self._dispatcher(cache=True)
        return function

    def _dispatcher(self, *, cache: bool) -> Any:
        from numba import njit

        return njit(nogil=True, fastmath=True, error_model="numpy", cache=cache)(self._function)

    def _compiled(self, name: str, kinds: tuple[str, ...], arguments: tuple[Argument, ...]) -> bytes:
        """The machine code for these arguments; `_NONE` if it can be run by numba only."""
        import numba

        config: Any = numba.config
        signature = tuple(numba.typeof(argument) for argument in arguments)  # type: ignore[no-untyped-call]
        dispatcher = self._dispatcher(cache=False)  # numba has no text of what comes from its cache
        usual, config.SLP_VECTORIZE = config.SLP_VECTORIZE, 1  # vectors for short loops of a fixed length too
        try:
            dispatcher.compile(signature)
        finally:
            config.SLP_VECTORIZE = usual
        try:
            return _machine_code(dispatcher.inspect_llvm(signature), kinds)
        except Exception as error:
            _log.debug("numba runs %s: %s", name, error)
            return _NONE

    @staticmethod
    def _keep(name: str, code: bytes) -> None:
        for folder in _folders():
            try:
                folder.mkdir(parents=True, exist_ok=True)
                write_whole(folder / name, _hash(code) + code)
                return
            except OSError as error:
                _log.debug("machine code cannot be kept in %s: %s", folder, error)

    def _key(self, kinds: tuple[str, ...]) -> str:
        source = Path(self._function.__code__.co_filename).read_bytes()
        facts = repr((_ENTRY, kinds, _compilers(), sys.platform)).encode()
        return hashlib.blake2b(source + facts, digest_size=_DIGEST).hexdigest()


def _quick_kind(argument: Argument) -> object:
    """What `_kind` depends on, in half of its time."""
    if isinstance(argument, np.ndarray):
        return argument.dtype, argument.ndim, argument.flags.carray
    return type(argument)


def _kind(argument: Argument) -> str:
    """Such as "<f4 2" for an array; "" for one whose memory is in no order that machine code is kept for."""
    if isinstance(argument, np.ndarray):
        plain = argument.flags.carray and argument.dtype.isnative
        return f"{argument.dtype.str} {argument.ndim}" if plain else ""
    return "float" if isinstance(argument, float) else "int"


def _folders() -> list[Path]:
    """Where machine code is kept: where numba would, with Python's own, or with what else this user caches."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    own = [Path(__file__).parent / "__pycache__", cache_folder("loops")]
    return [Path(named), *own] if named else own


@functools.cache
def _compilers() -> tuple[str, ...]:
    import llvmlite.binding as llvm

    versions = (metadata.version("numba"), metadata.version("llvmlite"))
    return *versions, llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


def _hash(code: bytes) -> bytes:
    return hashlib.blake2b(code, digest_size=_DIGEST).digest()


def _read(file: Path) -> bytes | None:
    try:
        content = file.read_bytes()
    except OSError:
        return None
    digest, code = content[:_DIGEST], content[_DIGEST:]
    return code if _hash(code) == digest else None


@functools.cache
def _target_machine() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    cpu, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    return target.create_target_machine(cpu=cpu, features=features, opt=3, jit=True, codemodel="jitdefault")


def _machine_code(ir: str, kinds: tuple[str, ...]) -> bytes:
    """The object file of the one function in numba's module that the others wrap, and of one that unpacks arguments.

    Raises:
        ValueError: if its parameters are not `_parameters`, or it needs anything of Python or numba.
    """
    import llvmlite.binding as llvm

    blocks = re.findall(r"^define .*?^}\n", ir, re.MULTILINE | re.DOTALL)
    wrapped = [block for block in blocks if re.match(r'define [^@]*i32 @"?_ZN\d', block)]
    if len(wrapped) != 1:
        raise ValueError(f"{len(wrapped)} functions in place of one")
    (function,) = wrapped
    head = re.match(r'define [^@]*@("[^"]*"|[^(]*)\((.*)\)[^()]*\{', function)
    if head is None:
        raise ValueError("no head")
    parameters = [part.split()[0] for part in re.sub(r"\([^()]*\)", "", head[2]).split(", ")]
    if parameters != [*_parameters(kinds)]:
        raise ValueError(f"its parameters are {parameters}")
    if found := re.search(r"@(NRT_|numba_|Py|_Py)\w*", function):
        raise ValueError(f"it needs {found[0]}")
    for block in blocks:
        ir = ir.replace(block, function.replace(f"@{head[1]}(", f"@{_LOOP}(", 1) if block is function else "")
    module = llvm.parse_assembly(ir + _entry(parameters))
    module.verify()
    return bytes(_target_machine().emit_object(module))


def _entry(parameters: list[str]) -> str:
    """A function that takes one pointer to all parameters: ctypes takes a sixth of a microsecond for each."""
    lines = []
    for index, name in enumerate(parameters):
        lines.append(f"%at{index} = getelementptr i64, ptr %packed, i64 {index}")
        lines.append(f"%p{index} = load {name}, ptr %at{index}")
    passed = ", ".join(f"{name} %p{index}" for index, name in enumerate(parameters))
    body = "\n".join([*lines, f"%result = call i32 @{_LOOP}({passed})", "ret i32 %result"])
    return f"\ndefine i32 @{_ENTRY}(ptr %packed) {{\n{body}\n}}\n"


def _parameters(kinds: tuple[str, ...]) -> list[str]:
    """LLVM's types of what numba makes of arguments, after the places for a result and an exception."""
    types = ["ptr", "ptr"]
    for kind in kinds:
        if kind in ("int", "float"):
            types.append("i64" if kind == "int" else "double")
        else:
            types += ["ptr", "ptr", "i64", "i64", "ptr", *["i64"] * (2 * int(kind.split()[1]))]
    return types


_places = ctypes.c_void_p()
"""Where loops write their result, which is none, and an exception, which is not read."""


def _native(code: bytes, kinds: tuple[str, ...]) -> Callable[..., None]:
    import llvmlite.binding as llvm

    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target_machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    address = engine.get_function_address(_ENTRY)
    if not address:
        raise ValueError("it lacks the function")
    _loaded.append(engine)
    function = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_char_p)(address)
    pack = struct.Struct("=" + "".join("d" if name == "double" else "q" for name in _parameters(kinds))).pack
    addressof, c_char = ctypes.addressof, ctypes.c_char
    places = addressof(_places)

    def call(*arguments: Argument) -> None:
        values: list[Any] = [places, places]
        for argument in arguments:
            if isinstance(argument, np.ndarray):
                data = addressof(c_char.from_buffer(argument.data)) if argument.size else 0
                values += [0, 0, argument.size, argument.itemsize, data, *argument.shape, *argument.strides]
            else:
                values.append(argument)
        if function(pack(*values)):
            raise RuntimeError("a compiled loop failed")

    return call
