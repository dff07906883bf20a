"""Machine code in memory from an object file, as LLVM writes it for loops on Linux and x86-64.

LLVM itself does this on every system, but to load LLVM takes 45 MiB and 0.03 s.
"""

from __future__ import annotations

import ctypes
import mmap
import platform
import struct
import sys

_SYMBOLS, _RELOCATIONS, _UNWINDING = 2, 4, 0x70000001
"""Types of sections (System V ABI, "Sections"); the last is for exceptions, which loops do not raise."""
_IN_MEMORY = 2
_WHOLE_ADDRESS = 1
"""The only relocation in code that may lie anywhere: an address in eight bytes."""
_READ_AND_EXECUTE = 1 | 4


class MachineCode:
    """The code of an object file, ready to be called.

    Args:
        file: the content of the object file.
        entry: name of the function to call.

    Raises:
        ValueError: if it is for another system, or needs more than this.
        OSError: if the system refuses memory for code.
    """

    def __init__(self, file: bytes, entry: str) -> None:
        if sys.platform != "linux" or platform.machine() != "x86_64" or file[:5] != b"\x7fELF\x02":
            raise ValueError("this is no object file of Linux on x86-64")
        (table,) = struct.unpack_from("<Q", file, 0x28)
        entry_size, count = struct.unpack_from("<HH", file, 0x3A)
        places, size = dict[int, int](), 0  # of the sections that the code consists of
        sections = [struct.unpack_from("<IIQQQQIIQQ", file, table + entry_size * index) for index in range(count)]
        for index, (_, kind, flags, _, _, length, _, _, alignment, _) in enumerate(sections):
            if flags & _IN_MEMORY and kind != _UNWINDING:
                places[index] = size + -size % max(1, alignment)
                size = places[index] + length
        self._memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        for index, place in places.items():
            offset, length = sections[index][4:6]
            self._memory[place : place + length] = file[offset : offset + length]
        self.address = 0
        """Of `entry`."""
        addresses = list[int]()
        for _, kind, _, _, offset, length, link, _, _, _ in sections:
            if kind == _SYMBOLS:
                names = sections[link][4]
                for at in range(offset, offset + length, 24):
                    name_at, _, _, section, value, _ = struct.unpack_from("<IBBHQQ", file, at)
                    begin = names + name_at
                    name = file[begin : file.index(b"\0", begin)].decode()
                    addresses.append(start + places[section] + value if section in places else _outside(name, section))
                    self.address = addresses[-1] if name == entry else self.address
        for _, kind, _, _, offset, length, _, target, _, _ in sections:
            if kind == _RELOCATIONS and target in places:
                for at in range(offset, offset + length, 24):
                    place, of_what, addend = struct.unpack_from("<QQq", file, at)
                    address = addresses[of_what >> 32]
                    if of_what & 0xFFFFFFFF != _WHOLE_ADDRESS or not address:
                        raise ValueError("it needs more than the addresses of its own parts")
                    struct.pack_into("<Q", self._memory, places[target] + place, address + addend)
        if not self.address:
            raise ValueError(f"it lacks the function {entry}")
        system = ctypes.CDLL(None, use_errno=True)
        if system.mprotect(ctypes.c_void_p(start), ctypes.c_size_t(size), _READ_AND_EXECUTE):
            raise OSError(ctypes.get_errno(), "the system refuses memory for code")


def _outside(name: str, section: int) -> int:
    """The address of a function of the C library; 0 if it has none of that name."""
    if section or not name:  # what numba defines for its own use
        return 0
    function = getattr(ctypes.CDLL(None), name, None)
    return 0 if function is None else ctypes.cast(function, ctypes.c_void_p).value or 0
