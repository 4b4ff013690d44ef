"""Writes parity.csv (3000 sequences of 1 to 40 bits) and parity-1024.csv (100 sequences of 1024) into the present folder.

Needs nothing but Python. The label of each step is the number of ones so far, modulo two.
"""

import random


def write(path, lengths, seed):
    draw = random.Random(seed)
    with open(path, "w", newline="\n") as file:
        file.write("sequence,bit,parity\n")
        for sequence, length in enumerate(lengths(draw)):
            parity = 0
            for _ in range(length):
                bit = draw.getrandbits(1)
                parity ^= bit
                file.write(f"{sequence},{bit},{parity}\n")


write("parity.csv", lambda draw: [draw.randint(1, 40) for _ in range(3000)], 1)
write("parity-1024.csv", lambda draw: [1024] * 100, 2)
