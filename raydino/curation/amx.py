"""Instructions of a CPU's matrix unit (Intel AMX) and of its registers of numbers, for loops that numba compiles.

A tile is 16 rows of 64 bytes: 16 x 32 numbers in bf16, or 16 x 16 sums in float32 of products of two such tiles. There
are eight, of which ``multiply_add`` uses six: four with sums, and one for each factor.
"""

from __future__ import annotations

import ctypes
import platform
import sys
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import binding, ir
from numba import config as _config
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic as _intrinsic

intrinsic: Any = _intrinsic  # its type has the arguments of the generator, not those of the function that comes of it
config: Any = _config  # its names come from the environment

SIDE = 32  # rows, and columns, of the products that are added up at a time: two tiles by two
DEPTH = 32  # numbers of a vector that a tile takes
TILE_BYTES = 1024
_ROW_BYTES = 64
_BYTE, _INT, _ADDRESS = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_POINTER = _BYTE.as_pointer()
_FLOATS = ir.VectorType(ir.FloatType(), SIDE)
_LEFT, _RIGHT = 4, 6  # tiles with factors; 0 to 3 hold sums, as rows of two


@cache
def available() -> bool:
    """Whether this machine has the unit, numba compiles for all that the machine has, and the system lets us use it."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return False
    if config.DISABLE_JIT or not config.ENABLE_AVX or (config.CPU_NAME, config.CPU_FEATURES) != (None, None):
        return False
    features = binding.get_host_cpu_features()
    if not all(features.get(name, False) for name in ("amx-tile", "amx-bf16", "avx512bw")):
        return False
    arch_prctl, request_permission, tile_data = 158, 0x1023, 18  # Linux, arch/x86: arch_prctl(2), XFEATURE_XTILE_DATA
    return int(ctypes.CDLL(None).syscall(arch_prctl, request_permission, tile_data)) == 0


def configuration() -> npt.NDArray[np.uint8]:
    """What ``configure`` takes: eight tiles of 16 rows of 64 bytes."""
    layout = np.zeros(64, np.uint8)
    layout[0] = 1  # palette
    layout[16:32:2] = _ROW_BYTES  # 16-bit numbers, of which the upper halves are 0
    layout[48:56] = 16
    return layout


def _instruction(builder: Any, name: str, *operands: Any) -> None:
    signature = ir.FunctionType(ir.VoidType(), [operand.type for operand in operands])
    function = cgutils.get_or_insert_function(builder.module, signature, f"llvm.x86.{name}")
    builder.call(function, operands)


def _tile(number: int) -> Any:
    return ir.Constant(_BYTE, number)


def _at(builder: Any, address: Any, offset: int = 0) -> Any:
    return builder.inttoptr(builder.add(address, ir.Constant(_ADDRESS, offset)), _POINTER)


def _load(builder: Any, tile: int, address: Any, stride: int = _ROW_BYTES, *, soon_again: bool = True) -> None:
    operands = _tile(tile), address, ir.Constant(_ADDRESS, stride)
    _instruction(builder, "tileloadd64" if soon_again else "tileloaddt164", *operands)


@intrinsic
def configure(_: Any, layout: Any) -> Any:
    """Ready the tiles of this thread, at the address of a ``configuration``."""

    def generate(context: Any, builder: Any, __: Any, arguments: Any) -> Any:
        _instruction(builder, "ldtilecfg", _at(builder, arguments[0]))
        return context.get_dummy_value()

    return types.void(types.uintp), generate


@intrinsic
def release(_: Any) -> Any:
    """Give the tiles back: until then every change of context saves them."""

    def generate(context: Any, builder: Any, __: Any, ___: Any) -> Any:
        _instruction(builder, "tilerelease")
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def start_at(_: Any, numbers: Any) -> Any:
    """Let each of 32 rows of sums start at the 32 float32 at this address."""

    def generate(context: Any, builder: Any, __: Any, arguments: Any) -> Any:
        for tile in range(4):
            _load(builder, tile, _at(builder, arguments[0], tile % 2 * _ROW_BYTES), stride=0)
        return context.get_dummy_value()

    return types.void(types.uintp), generate


@intrinsic
def multiply_add(_: Any, left: Any, right: Any) -> Any:
    """Add to the sums the products of 32 vectors at ``left`` with 32 at ``right``, 32 numbers of each.

    Two tiles stand at either address: of ``left`` 16 vectors each, a row a vector; of ``right`` 16 vectors each, in row
    r numbers 2r and 2r + 1 of each vector. ``left`` does not push out of the cache what ``right`` will need again.
    """

    def generate(context: Any, builder: Any, __: Any, arguments: Any) -> Any:
        def load_left(row: int) -> None:
            _load(builder, _LEFT, _at(builder, arguments[0], row * TILE_BYTES), soon_again=False)

        def load_right(column: int) -> None:
            _load(builder, _RIGHT, _at(builder, arguments[1], column * TILE_BYTES))

        def add_to(row: int, column: int) -> None:
            _instruction(builder, "tdpbf16ps", _tile(2 * row + column), _tile(_LEFT), _tile(_RIGHT))

        load_left(0)
        load_right(0)
        add_to(0, 0)
        load_right(1)
        add_to(0, 1)
        load_left(1)
        add_to(1, 1)
        load_right(0)
        add_to(1, 0)
        return context.get_dummy_value()

    return types.void(types.uintp, types.uintp), generate


@intrinsic
def store_sums(_: Any, sums: Any) -> Any:
    """Write the sums to 32 rows of 32 float32 at this address."""

    def generate(context: Any, builder: Any, __: Any, arguments: Any) -> Any:
        stride = ir.Constant(_ADDRESS, 2 * _ROW_BYTES)
        for tile in range(4):
            offset = tile // 2 * 16 * 2 * _ROW_BYTES + tile % 2 * _ROW_BYTES
            _instruction(builder, "tilestored64", _tile(tile), _at(builder, arguments[0], offset), stride)
        return context.get_dummy_value()

    return types.void(types.uintp), generate


@intrinsic
def which_reach(_: Any, numbers: Any, least: Any) -> Any:
    """Bit k of the result: whether number k of the 32 float32 at the address ``numbers`` is ``least`` or more."""

    def generate(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        address, limit = arguments
        undefined, at_0 = ir.Constant(_FLOATS, ir.Undefined), ir.Constant(ir.VectorType(_INT, SIDE), [0] * SIDE)
        limits = builder.shuffle_vector(builder.insert_element(undefined, limit, _INT(0)), undefined, at_0)
        given = builder.load(builder.inttoptr(address, _FLOATS.as_pointer()), align=_ROW_BYTES)
        return builder.bitcast(builder.fcmp_ordered(">=", given, limits), _INT)

    return types.uint32(types.uintp, types.float32), generate


@intrinsic
def lowest_bit(_: Any, bits: Any) -> Any:
    """Which is the lowest bit of an uint32 that is set; of 0 it is not defined."""

    def generate(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint32(types.uint32), generate
