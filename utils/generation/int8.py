"""Products with weight matrices in whole numbers of eight bits, by the kernels of LiteRT.

    product = Int8Product(kernel)     # (outputs, inputs), float32
    y = product(x)                    # (rows, inputs) -> (rows, outputs), float32

**Dynamic-range quantization**: the weights of each output have a scale of their own, and so have
the inputs of each row when they come. Whole numbers are multiplied and summed, exactly, and the two
scales turn the sum into a float again. A product takes a fourth of the memory of float32, and
processors multiply more of such numbers at a time.

A few inputs of a language model are far larger than the others (**outliers**). With one scale for
all of them, little is left of the small ones. So groups of inputs are mixed first by a Hadamard
matrix, which spreads an outlier evenly over its group, and the weights are mixed in the same way:
as the matrix is orthogonal, that alone changes no product. Source: S. Ashkboos et al., QuaRot:
Outlier-Free 4-Bit Inference in Rotated LLMs (2024).

LiteRT (once TensorFlow Lite) is a part of TensorFlow. It runs networks from files of its own
format; here such a network is a single operation, so that everything else can stay in NumPy.
"""

import math
import os
import warnings
from typing import Any

import numpy as np

from utils.quiet import stderr_held_back

LARGEST = 127  # of the whole numbers
GROUP = 64  # inputs that are mixed; a power of 2
MOST_THREADS = 4  # a product of few rows is too small for more
X, KERNEL, Y = range(3)  # the tensors of the network
MARK = b"TFL3"  # of a file of LiteRT


class Int8Product:
    """The product of rows and a weight matrix that has been rounded to eight bits.

    Its result for a row does not depend on the other rows, but for the last digit. The first call
    with another number of rows takes some time longer.

    Args:
        kernel: the weight matrix, (outputs, inputs), float32; it is not kept.
        threads: how many threads multiply.
    """

    def __init__(self, kernel: np.ndarray, threads: int | None = None):
        runtime, size = _runtime(), math.gcd(GROUP, kernel.shape[1])
        self._hadamard = hadamard(size)
        threads = threads or min(MOST_THREADS, available_processors())
        with warnings.catch_warnings(), stderr_held_back():  # it tells that it has a new home
            warnings.simplefilter("ignore")
            content = as_network(*rounded(self._mixed(kernel)))
            self._runtime = runtime(model_content=content, num_threads=threads)
            self._runtime.allocate_tensors()
        self._rows = 1

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """x (rows, inputs) @ kernel.T: (rows, outputs), float32."""
        if len(x) != self._rows:
            self._runtime.resize_tensor_input(X, x.shape)
            self._runtime.allocate_tensors()
            self._rows = len(x)
        self._runtime.set_tensor(X, self._mixed(x))
        self._runtime.invoke()
        return self._runtime.get_tensor(Y)

    def _mixed(self, x: np.ndarray) -> np.ndarray:
        """x (rows, inputs), each group of inputs multiplied by the Hadamard matrix."""
        groups = x.reshape(len(x), -1, len(self._hadamard))  # row by row: no row depends on others
        return (groups @ self._hadamard).reshape(x.shape)


def hadamard(size: int) -> np.ndarray:
    """The orthogonal matrix (size, size) whose numbers are all equal but for their signs.

    Args:
        size: a power of 2.
    """
    signs = np.ones((1, 1))
    while len(signs) < size:
        signs = np.block([[signs, signs], [signs, -signs]])
    return (signs / math.sqrt(size)).astype("float32")


def rounded(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The whole numbers nearest to a weight matrix, and the scale of each of its rows.

    Args:
        kernel: the weight matrix, (outputs, inputs).

    Returns:
        int8, (outputs, inputs), and float32, (outputs,): their product is nearly the kernel.
    """
    scales = np.abs(kernel).max(axis=1) / LARGEST
    scales = np.where(scales == 0, 1, scales).astype("float32")
    return np.rint(kernel / scales[:, None]).astype("int8"), scales


def available_processors() -> int:
    """The number of processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on a Mac
        return os.cpu_count() or 1


def is_available() -> bool:
    """Whether this installation multiplies in int8: it is tried, with a small matrix."""
    one = np.eye(16, dtype="float32")
    try:
        return np.allclose(Int8Product(one)(one), one, atol=0.1)
    except Exception:  # what an older or newer LiteRT may raise is not known
        return False


def _runtime() -> Any:
    """LiteRT's interpreter of networks."""
    from tensorflow.lite.python.interpreter import Interpreter

    return Interpreter


def as_network(numbers: np.ndarray, scales: np.ndarray) -> bytes:
    """A file of LiteRT with one operation, the product of its input and a weight matrix.

    Args:
        numbers: the whole numbers, int8, (outputs, inputs).
        scales: the scale of each output, (outputs,).
    """
    import flatbuffers  # type: ignore[import-untyped]
    from tensorflow.lite.python import schema_py_generated as schema

    (outputs, inputs), types = numbers.shape, schema.TensorType
    kernel = _tensor(schema, "kernel", [outputs, inputs], types.INT8, buffer=1)
    kernel.quantization = schema.QuantizationParametersT()
    kernel.quantization.scale, kernel.quantization.quantizedDimension = scales, 0
    kernel.quantization.zeroPoint = np.zeros(outputs, "int64")
    operation = schema.OperatorT()
    operation.inputs, operation.outputs = [X, KERNEL, -1], [Y]  # -1: no bias
    operation.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    operation.builtinOptions = schema.FullyConnectedOptionsT()
    operation.builtinOptions.asymmetricQuantizeInputs = True
    graph, code = schema.SubGraphT(), schema.OperatorCodeT()
    graph.inputs, graph.outputs, graph.operators = [X], [Y], [operation]
    x, y = _tensor(schema, "x", [1, inputs]), _tensor(schema, "y", [1, outputs])
    graph.tensors = [x, kernel, y]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    network, data = schema.ModelT(), schema.BufferT()
    data.data = numbers.reshape(-1).view("uint8")
    network.version, network.operatorCodes, network.subgraphs = 3, [code], [graph]
    network.buffers = [schema.BufferT(), data]
    builder = flatbuffers.Builder(2 * numbers.size)
    builder.Finish(network.Pack(builder), MARK)
    return bytes(builder.Output())


def _tensor(schema: Any, name: str, shape: list[int], kind: int = 0, buffer: int = 0) -> Any:
    """A tensor of a network; kind 0 is float32, and buffer 0 holds nothing."""
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = name.encode(), shape, kind, buffer
    if not buffer:
        tensor.shapeSignature = [-1, shape[1]]  # any number of rows
    return tensor
