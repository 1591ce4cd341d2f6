"""The one thing that pyproject.toml cannot say: the C kernels are built by cffi, and may fail to be.

Without a C compiler the install succeeds and `chronos.native` runs on NumPy, with one notice.
"""

from setuptools import setup

setup(cffi_modules=["native/build_native.py:ffibuilder"])
