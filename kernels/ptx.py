#!/usr/bin/env python3
"""Compiles every kernels/src/*.cu to the .ptx beside it.

    pip install nvidia-cuda-nvrtc-cu12==12.1.105
    python3 kernels/ptx.py

NVRTC 12.1 writes PTX 8.1, which drivers from 530 on load; compute_70 is the oldest architecture that
schedules each invocation on its own. Neither a GPU nor a CUDA installation is needed. The first line
of a .ptx carries the SHA-256 of its source; kernels/tests/ptx.rs fails where the two do not agree.
"""

import ctypes
import hashlib
import pathlib
import sys

NVRTC_VERSION = (12, 1)
OPTIONS = [b"--gpu-architecture=compute_70", b"--std=c++03"]
SOURCES = pathlib.Path(__file__).resolve().parent / "src"


def open_nvrtc():
    """NVRTC from the Python package, else from the system's loader."""
    packaged = (pathlib.Path(p) / "nvidia/cuda_nvrtc/lib/libnvrtc.so.12" for p in sys.path)
    name = next((str(path) for path in packaged if path.exists()), "libnvrtc.so.12")
    try:
        nvrtc = ctypes.CDLL(name)
    except OSError as error:
        sys.exit(f"ptx.py: {error}; pip install nvidia-cuda-nvrtc-cu12==12.1.105")
    major, minor = ctypes.c_int(), ctypes.c_int()
    check(nvrtc, nvrtc.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)))
    if (major.value, minor.value) != NVRTC_VERSION:
        sys.exit(f"ptx.py: {name} is NVRTC {major.value}.{minor.value}, need {NVRTC_VERSION}")
    return nvrtc


def check(nvrtc, code):
    if code:
        nvrtc.nvrtcGetErrorString.restype = ctypes.c_char_p
        sys.exit(f"ptx.py: NVRTC: {nvrtc.nvrtcGetErrorString(code).decode()}")


def text_of(nvrtc, program, what):
    """The PTX or the log of a program."""
    size = ctypes.c_size_t()
    check(nvrtc, getattr(nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
    text = ctypes.create_string_buffer(size.value)
    check(nvrtc, getattr(nvrtc, f"nvrtcGet{what}")(program, text))
    return text.value.decode()


def compile_to_ptx(nvrtc, path, source):
    program = ctypes.c_void_p()
    name = path.name.encode()
    check(nvrtc, nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, name, 0, None, None))
    options = (ctypes.c_char_p * len(OPTIONS))(*OPTIONS)
    code = nvrtc.nvrtcCompileProgram(program, len(OPTIONS), options)
    log = text_of(nvrtc, program, "ProgramLog")
    if log:
        print(log, file=sys.stderr)
    check(nvrtc, code)
    return text_of(nvrtc, program, "PTX")


def main():
    nvrtc = open_nvrtc()
    for path in sorted(SOURCES.glob("*.cu")):
        source = path.read_bytes()
        ptx = compile_to_ptx(nvrtc, path, source)
        digest = hashlib.sha256(source).hexdigest()
        target = path.with_suffix(".ptx")
        target.write_text(f"// Made from {path.name} by ptx.py; sha256 {digest}\n{ptx.strip()}\n")
        print(f"{target.name}: {len(ptx)} bytes")


if __name__ == "__main__":
    main()
