#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""disk.py FILE MEGABYTES: a large file in which every 512 bytes differ.

The rest is random and repeated at a distance that gzip sees, so that an image
with the file in it stays small until it is booted.
"""

import random
import sys

SECTOR = 512
BLOCK = 16384


def main(path, megabytes):
    block = random.randbytes(BLOCK)
    with open(path, "wb") as out:
        for at in range(0, megabytes << 20, SECTOR):
            out.write(at.to_bytes(8, "little"))
            out.write(block[at % BLOCK + 8:at % BLOCK + SECTOR])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
