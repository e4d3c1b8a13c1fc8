"""LLVM intrinsics that numba does not expose: addresses as pointers, and stores that bypass the caches."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

LINE = 64
"""Bytes of a cache line."""


@intrinsic
def pointer(typing: Any, address: Any, kind: Any) -> Any:
    """Return an address as a pointer to numbers of the type `kind`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(kind.dtype)(types.int64, kind), generate


@intrinsic
def stream_line(typing: Any, to: Any, at: Any) -> Any:
    """Copy `LINE` bytes from one address to another, a multiple of `LINE`, without reading or caching the latter."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # One vector of a whole line: LLVM then uses the widest stores that the processor has.
        line = ir.VectorType(ir.IntType(8), LINE).as_pointer()
        target, source = (builder.inttoptr(address, line) for address in arguments)
        store = builder.store(builder.load(source, align=1), target, align=LINE)
        # LLVM's metadata "nontemporal" with the constant 1 asks for stores past the caches.
        store.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))
        return context.get_dummy_value()

    return types.void(types.uintp, types.uintp), generate


@intrinsic
def finish_streaming(typing: Any) -> Any:
    """Order all stores before this point before all stores after it, as non-temporal stores need."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # Non-temporal stores are weakly ordered on x86: another thread could see a later store before them.
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate
