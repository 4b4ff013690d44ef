"""Writes the golden arrays of the npy and npz readers. Made with numpy 2.4.6: python generate.py"""
import numpy as np

x = np.arange(24, dtype=np.float32).reshape(2, 3, 4) * np.float32(0.5) - np.float32(3)
np.save("c_f4.npy", x)
np.save("fortran_f8.npy", np.asfortranarray(x.astype(np.float64)))
np.save("big_i2.npy", (np.arange(6).reshape(3, 2) * -300).astype(">i2"))
np.save("bool.npy", np.array([True, False, True]))
np.save("scalar_u1.npy", np.uint8(200))
np.save("half.npy", np.ones(3, dtype=np.float16))
np.save("record.npy", np.zeros(2, dtype=[("a", "<f4"), ("b", "<i4")]))

rng = np.random.default_rng(7)
features = rng.normal(size=(20, 5, 3)).astype(np.float32)
labels = rng.integers(0, 4, size=20)
lens = rng.integers(1, 6, size=20).astype(np.int32)
np.savez("set.npz", x=features, y=labels, lens=lens)
np.savez_compressed("set_deflated.npz", features=features, targets=labels, lens=lens)
