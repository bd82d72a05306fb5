#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Put the source of lwIP where the build looks for it: fetch_source.py."""

import fetch_source

LWIP = fetch_source.Source(
    "lwip", "lwIP 2.2 >= 2.2.1", ("trixie", "forky", "sid"),
    oldest=(2, 2, 1), below=(2, 3), shown="src",
)

if __name__ == "__main__":
    fetch_source.main(LWIP, "build with -Dlwip=disabled")
