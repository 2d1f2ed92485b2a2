"""Makes the files beside it with the libraries that define their formats: numpy, safetensors, torch."""
import os

import numpy as np
import torch
from safetensors.torch import save_file

os.chdir(os.path.dirname(os.path.abspath(__file__)))
numbers = torch.tensor([[0.1, -2.5, 3e-5], [65504.0, 1.0, -0.0]], dtype=torch.float64)
save_file(
    {
        "f64": numbers, "f32": numbers.float(), "f16": numbers.half(), "bf16": numbers.bfloat16(),
        "i64": torch.tensor([-(2**63), 0, 2**63 - 1]), "i32": torch.tensor([-7, 7], dtype=torch.int32),
        "u8": torch.tensor([0, 255], dtype=torch.uint8), "bool": torch.tensor([True, False, True]),
        "scalar": torch.tensor(4.5), "empty": torch.zeros(0, 3), "näme": torch.zeros(1),
    },
    "all.safetensors", metadata={"about": "every element type", "quote": "\"\\ü\n"})
grid = np.arange(6, dtype=np.float32).reshape(2, 3)
np.save("f4.npy", grid)
np.save("fortran.npy", np.asfortranarray(grid))
np.save("f8.npy", grid.astype(np.float64) / 3)
np.save("f2.npy", grid.astype(np.float16))
np.save("i8.npy", np.array([-(2**63), 5]))
np.save("b1.npy", np.array([[True], [False]]))
np.save("scalar.npy", np.float32(2.5))
np.save("big-endian.npy", grid.astype(">f4"))
with open("version2.npy", "wb") as file:
    np.lib.format.write_array(file, grid, version=(2, 0))
